import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Rejoin } from '../chat/call';
import { keepCall, keptCall } from './call_storage';

const REJOIN: Rejoin = {
  callId: 'call_1',
  kind: 'audio',
  outgoing: true,
  polite: false,
  since: null,
};

describe('a call that is kept over a reload', () => {
  const kept = new Map<string, string>();
  beforeEach(() => {
    kept.clear();
    vi.stubGlobal('sessionStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('has lasted as long as it had, on the clock of the next page', () => {
    vi.stubGlobal('performance', { now: () => 100_000 });
    keepCall({ roomId: 'room', epoch: 1, rejoin: { ...REJOIN, since: 40_000 } });
    vi.stubGlobal('performance', { now: () => 500 });
    expect(500 - (keptCall()?.rejoin.since ?? NaN)).toBe(60_500);
  });

  it('that had not begun has not begun', () => {
    keepCall({ roomId: 'room', epoch: 1, rejoin: REJOIN });
    expect(keptCall()).toEqual({ roomId: 'room', epoch: 1, rejoin: REJOIN });
    keepCall(null);
    expect(keptCall()).toBeNull();
  });
});
