import { describe, expect, it } from 'vitest';
import { levelOf, PEAKS_MAX, peaksOf, readPeaks } from './waveform';

describe('the level', () => {
  it('is nothing in silence, and never more than full', () => {
    expect(levelOf(new Float32Array(64))).toBe(0);
    expect(levelOf(new Float32Array(64).fill(1))).toBe(1);
  });

  it('of speech stands somewhere between', () => {
    const speech = Float32Array.from({ length: 4096 }, (_, index) => 0.1 * Math.sin(index / 7));
    expect(levelOf(speech)).toBeGreaterThan(0.2);
    expect(levelOf(speech)).toBeLessThan(0.8);
  });
});

describe('peaks', () => {
  it('are whole numbers, as many as the contract allows, and the loudest is 100', () => {
    const levels = Array.from({ length: 1000 }, (_, index) => index / 2000);
    const peaks = peaksOf(levels);
    expect(peaks).toHaveLength(PEAKS_MAX);
    expect(peaks.every((peak) => Number.isInteger(peak) && peak >= 0 && peak <= 100)).toBe(true);
    expect(peaks.at(-1)).toBe(100);
  });

  it('keep a short sound in the midst of silence', () => {
    const levels = Array.from({ length: 640 }, (_, index) => (index === 323 ? 0.5 : 0));
    expect(peaksOf(levels).filter((peak) => peak > 0)).toEqual([100]);
  });

  it('of a short recording are fewer, and of silence nothing but silence', () => {
    expect(peaksOf([0.2, 0.4])).toEqual([50, 100]);
    expect(peaksOf([])).toEqual([]);
    expect(peaksOf([0.001, 0])).toEqual([5, 0]);
  });
});

describe('peaks from a stranger', () => {
  it('are cut, rounded and brought within bounds', () => {
    expect(readPeaks([1.4, -5, 1e9, NaN])).toEqual([1, 0, 100, 0]);
    expect(readPeaks(Array.from({ length: 500 }, () => 1))).toHaveLength(PEAKS_MAX);
  });

  it.each([undefined, null, 'abc', {}, [1, '2'], [[1]]])('are none if they are %j', (value) => {
    expect(readPeaks(value)).toEqual([]);
  });
});
