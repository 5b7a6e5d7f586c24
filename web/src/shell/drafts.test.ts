import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Draft } from './drafts';

const ROOM = { roomId: 'a_b', epoch: 1 };

beforeEach(() => {
  vi.useFakeTimers();
  const kept = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a draft', () => {
  it('is there again, a moment after it was written', () => {
    const draft = new Draft(ROOM);
    draft.change('Hel');
    draft.change('Hello');
    expect(new Draft(ROOM).text).toBe('');
    vi.runAllTimers();
    expect(new Draft(ROOM).text).toBe('Hello');
  });

  it('is stored when the page goes', () => {
    const draft = new Draft(ROOM);
    draft.change('Hello');
    draft.keep();
    expect(new Draft(ROOM).text).toBe('Hello');
  });

  it('does not come back once it was sent', () => {
    const draft = new Draft(ROOM);
    draft.change('Hello');
    vi.runAllTimers();
    draft.change('');
    expect(new Draft(ROOM).text).toBe('');
  });

  it('belongs to its conversation', () => {
    const draft = new Draft(ROOM);
    draft.change('Hello');
    draft.keep();
    expect(new Draft({ ...ROOM, epoch: 2 }).text).toBe('');
    expect(new Draft(ROOM).text).toBe('Hello');
  });

  it('is forgotten after a few others', () => {
    for (let epoch = 1; epoch <= 5; epoch += 1) {
      const draft = new Draft({ ...ROOM, epoch });
      draft.change(`draft ${epoch}`);
      draft.keep();
    }
    expect(new Draft(ROOM).text).toBe('');
    expect(new Draft({ ...ROOM, epoch: 5 }).text).toBe('draft 5');
  });
});
