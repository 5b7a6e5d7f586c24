/** A voice note as a row of bars: made by the sender from the levels heard, drawn on both sides. */

/** The contract's most: 64 whole numbers from 0 to 100. */
export const PEAKS_MAX = 64;
const FULL = 100;
/** Below this even the loudest moment is silence: not to be blown up into a sound. */
const SILENCE = 0.02;

/** How loud the samples (-1 to 1) are, from 0 to 1, on a scale where speech fills the meter. */
export function levelOf(samples: Float32Array): number {
  const loudness = Math.sqrt(
    samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length,
  );
  return Math.min(1, Math.sqrt(loudness * 2.5));
}

/** At most `count` peaks of `levels` (0 to 1, in order of time), the loudest being 100. */
export function peaksOf(levels: readonly number[], count = PEAKS_MAX): number[] {
  const bars = Math.min(count, levels.length);
  const loudest = Math.max(SILENCE, ...levels);
  return Array.from({ length: bars }, (_, bar) => {
    const [from, to] = [bar, bar + 1].map((edge) => Math.floor((edge * levels.length) / bars));
    const peak = Math.max(0, ...levels.slice(from, to));
    return Math.round((peak / loudest) * FULL);
  });
}

/** Peaks that came from a stranger: garbage is none, numbers out of bounds are brought within. */
export function readPeaks(value: unknown): number[] {
  if (!Array.isArray(value) || !value.every((peak) => typeof peak === 'number')) return [];
  return value
    .slice(0, PEAKS_MAX)
    .map((peak: number) => (peak > 0 ? Math.min(FULL, Math.round(peak)) : 0));
}
