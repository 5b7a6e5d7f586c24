import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keepAgeCheck, keepUnderAge, takeAgeProof, wasUnderAge } from './newcomer';

const ANSWER = '#state=s&result=of_age&signature=0a';

describe('in this browser', () => {
  const kept = new Map<string, string>();
  const replaceState = vi.fn();

  function comesTo(hash: string): void {
    vi.stubGlobal('location', { origin: 'https://x.example', pathname: '/', search: '', hash });
  }

  beforeEach(() => {
    kept.clear();
    replaceState.mockClear();
    vi.useFakeTimers();
    vi.stubGlobal('history', { state: null, replaceState });
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('an answer of a provider counts once, and is not left in the address', () => {
    keepAgeCheck();
    comesTo(ANSWER);
    expect(takeAgeProof()).toBe('s.of_age.0a');
    expect(replaceState).toHaveBeenCalledExactlyOnceWith(null, '', '/');
    comesTo('');
    expect(takeAgeProof()).toBeNull();
  });

  it('a link of somebody else brings no answer', () => {
    comesTo(ANSWER);
    expect(takeAgeProof()).toBeNull();
    expect(replaceState).toHaveBeenCalledOnce();
  });

  it('an answer to a check that began long ago is none', () => {
    keepAgeCheck();
    vi.advanceTimersByTime(3_600_000);
    comesTo(ANSWER);
    expect(takeAgeProof()).toBeNull();
  });

  it('where nothing can be kept, every answer counts, and nobody is known again', () => {
    vi.stubGlobal('localStorage', undefined);
    keepAgeCheck();
    comesTo(ANSWER);
    expect(takeAgeProof()).toBe('s.of_age.0a');
    keepUnderAge();
    expect(wasUnderAge()).toBe(false);
  });

  it('who was too young is known again', () => {
    expect(wasUnderAge()).toBe(false);
    keepUnderAge();
    expect(wasUnderAge()).toBe(true);
  });
});
