/** How a language writes days, and how far away they are. */
import type { Formats } from './formats';

const UNITS = [
  ['month', 2_629_746],
  ['day', 86_400],
  ['hour', 3600],
] as const;

/** A day and a time of it, in full, where the guest is: `2 January 2026 at 15:04`. */
export function date({ locale }: Formats, at: Date): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' }).format(at);
}

/** How far off `seconds` are, roughly: `in 3 days`, `in 5 minutes`. */
export function away({ locale }: Formats, seconds: number): string {
  const [unit, length] = UNITS.find(([, long]) => seconds >= 2 * long) ?? ['minute', 60];
  return new Intl.RelativeTimeFormat(locale).format(Math.max(1, Math.ceil(seconds / length)), unit);
}
