/** Sizes and lengths as a person reads them. */

const UNITS = ['bytes', 'KB', 'MB', 'GB'];
const STEP = 1024;

/** `bytes` with the unit that suits it: `1 byte`, `812 bytes`, `9.5 KB`, `10 MB`. */
export function sizeText(bytes: number): string {
  if (bytes === 1) return '1 byte';
  let value = bytes;
  let unit = 0;
  // What would be rounded to 1024 is one of the next unit already.
  while (Math.round(value) >= STEP && unit < UNITS.length - 1) {
    value /= STEP;
    unit += 1;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit] ?? ''}`;
}

/** `seconds` on a clock: `0:07`, `4:59`, `1:02:03`. What is no length at all is `0:00`. */
export function clockText(seconds: number): string {
  const whole = Number.isFinite(seconds) && seconds > 0 ? Math.floor(seconds) : 0;
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The last part of a name, for a card: `PDF`; empty when there is none that says something. */
export function extensionOf(name: string): string {
  const [, extension = ''] = /[^.]\.([a-z0-9]{1,5})$/i.exec(name) ?? [];
  return extension.toUpperCase();
}
