import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DoublePress } from './double_press';
import { TypingSignal } from './typing';

describe('DoublePress', () => {
  it('is a pair only in quick succession', () => {
    const escape = new DoublePress();
    expect([0, 1000, 2000, 4000, 5000].map((now) => escape.press(now))).toEqual([
      false,
      true,
      false,
      false,
      true,
    ]);
  });
});

describe('TypingSignal', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('starts once, repeats while typing goes on, and stops after a pause', () => {
    const told: boolean[] = [];
    const signal = new TypingSignal((active) => told.push(active));
    for (let second = 0; second <= 5; second += 1) {
      signal.keystroke();
      vi.advanceTimersByTime(1000);
    }
    expect(told).toEqual([true, true]);
    vi.advanceTimersByTime(3000);
    expect(told).toEqual([true, true, false]);
  });

  it('stops at once when told, and only once', () => {
    const told: boolean[] = [];
    const signal = new TypingSignal((active) => told.push(active));
    signal.keystroke();
    signal.stop();
    signal.stop();
    vi.advanceTimersByTime(10_000);
    expect(told).toEqual([true, false]);
  });

  it('goes on when the wall clock is put back by an hour', () => {
    const told: boolean[] = [];
    const signal = new TypingSignal((active) => told.push(active));
    signal.keystroke();
    vi.setSystemTime(Date.now() - 3_600_000);
    vi.advanceTimersByTime(5000);
    signal.keystroke();
    expect(told).toEqual([true, false, true]);
  });

  it('does not announce each of many short messages', () => {
    const told: boolean[] = [];
    const signal = new TypingSignal((active) => told.push(active));
    for (let round = 0; round < 10; round += 1) {
      signal.keystroke();
      signal.stop();
      vi.advanceTimersByTime(200);
    }
    expect(told).toEqual([true, false, true, false]);
    signal.keystroke();
    vi.advanceTimersByTime(1000);
    expect(told).toEqual([true, false, true, false, true]);
  });
});
