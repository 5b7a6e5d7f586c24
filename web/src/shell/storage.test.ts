import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connected, established, event, MATCHED, run, talking } from '../chat/samples';
import { save, type State } from '../chat/state';
import { load, store } from './storage';

const TYPES = event('chat:typing:start', { userId: 'guest_them', username: 'QuietHeron1148' });

describe('what outlives a reload', () => {
  const kept = new Map<string, string>();
  const write = vi.fn((key: string, value: string) => kept.set(key, value));

  beforeEach(() => {
    kept.clear();
    vi.stubGlobal('sessionStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: write,
      removeItem: (key: string) => kept.delete(key),
    });
    store(null);
    write.mockClear();
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it.each<[string, State]>([
    ['alone', connected()],
    ['in a conversation', talking()],
  ])('is written once, %s', (_, state) => {
    store(save(state));
    store(save(run(state, TYPES).state));
    expect(write).toHaveBeenCalledTimes(1);
  });

  it('is written when it changes', () => {
    const home = run(connected(), established(false, 'node_1')).state;
    const searching = run(home, { type: 'start', username: 'CalmOtter1000' }).state;
    const met = run(searching, MATCHED).state;
    for (const state of [connected(), home, searching, met]) {
      store(save(state));
      expect(load()).toEqual(save(state));
    }
  });
});
