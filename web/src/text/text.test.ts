import { afterEach, describe, expect, it, vi } from 'vitest';
import { characterCount, tidy } from './message';
import { nameProblem } from './name';

describe('nameProblem', () => {
  it.each([
    ['abc', null],
    ['A_1'.padEnd(20, 'x'), null],
    ['ab', 'short'],
    ['', 'short'],
    ['a'.repeat(21), 'long'],
    ['with space', 'characters'],
    ['émile', 'characters'],
    ['<b>bold</b>', 'characters'],
    ['tick✓', 'characters'],
    ['line\n', 'characters'],
  ])('%j: %s', (name, problem) => {
    expect(nameProblem(name)).toBe(problem);
  });
});

describe('characterCount', () => {
  it.each([
    ['', 0],
    ['hello', 5],
    ['👩‍👩‍👧‍👦', 1],
    ['🇳🇴🇫🇷', 2],
    ['e\u0301', 1],
    ['한국', 2],
    ['a\nb', 3],
  ])('%j: %i', (text, count) => {
    expect(characterCount(text)).toBe(count);
  });
});

describe('without Intl.Segmenter', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  it.each([
    ['', 0],
    ['hello', 5],
    ['👩‍👩‍👧‍👦👋🏽', 2],
    ['🇳🇴🇫🇷', 2],
    ['e\u0301', 1],
    ['a\nb', 3],
  ])('%j still counts %i', async (text, count) => {
    vi.stubGlobal('Intl', { ...Intl, Segmenter: undefined });
    Reflect.deleteProperty(Intl, 'Segmenter');
    vi.resetModules();
    const { characterCount: roughly } = await import('./message');
    expect(roughly(text)).toBe(count);
  });
});

describe('a million characters', () => {
  const million = 'x'.repeat(1_000_000);

  it('are counted no further than matters', () => {
    expect(characterCount(million, 1001)).toBe(1001);
    expect(characterCount('abc', 1001)).toBe(3);
  });

  it('are tidied in no time, whatever they are', () => {
    const blanks = `a${' '.repeat(100_000)}b`;
    const begin = performance.now();
    expect(tidy(blanks)).toBe(blanks);
    expect(performance.now() - begin).toBeLessThan(500);
  });
});

describe('tidy', () => {
  it('keeps inner white space and leading spaces', () => {
    expect(tidy('  a\t\n\n  b ')).toBe('  a\t\n\n  b');
  });

  it('drops blank edges, control characters and halves of characters', () => {
    expect(tidy('\n \n a\u0000b\u001b[1m\ud800c\r\n')).toBe(' ab[1mc');
  });

  it('leaves nothing of blank text', () => {
    expect(tidy(' \n\t ')).toBe('');
  });
});
