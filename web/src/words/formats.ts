/** How one language writes numbers, sizes, times and lists. `Intl` knows; nothing here does. */

/** A sentence for each way in which the language counts; `#` stands for the number. */
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
/** The server's limits are powers of two; a file of exactly `10 MB` must not read as 10.5. */
const STEP = 1024;

const LENGTHS = [
  ['hour', 3600],
  ['minute', 60],
] as const;

/** What stands between minutes and seconds: a colon nearly everywhere, in Finnish and Danish a dot. */
function separatorOf(locale: string): string {
  const clock = new Intl.DateTimeFormat(locale, { minute: '2-digit', second: '2-digit' });
  return clock.formatToParts(0).find(({ type }) => type === 'literal')?.value ?? ':';
}

/** `locale` may name a region (`de-AT`): the language is the catalogue's, the habits are the guest's. */
export function formatsOf(locale: string) {
  const plain = new Intl.NumberFormat(locale);
  const rough = new Intl.NumberFormat(locale, { notation: 'compact', compactDisplay: 'long' });
  const share = new Intl.NumberFormat(locale, { style: 'percent' });
  const one = new Intl.NumberFormat(locale, { useGrouping: false });
  const two = new Intl.NumberFormat(locale, { useGrouping: false, minimumIntegerDigits: 2 });
  const rules = new Intl.PluralRules(locale);
  const times = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
  const choice = new Intl.ListFormat(locale, { type: 'disjunction' });
  const separator = separatorOf(locale);

  return {
    number: (value: number): string => plain.format(value),

    /** A large number that nobody counts: `64 million`. */
    roughly: (value: number): string => rough.format(value),

    plural: (count: number, forms: Forms): string =>
      (forms[rules.select(count)] ?? forms.other).replace('#', plain.format(count)),

    /** From 0 to 1; what is not yet complete never reads `100%`. */
    percent: (part: number): string => share.format(Math.floor(part * 100) / 100),

    /** `bytes` with the unit that suits it: `1 byte`, `812 bytes`, `9.5 kB`, `10 MB`. */
    size: (bytes: number): string => {
      let value = bytes;
      let unit = 0;
      // What would be rounded to 1024 is one of the next unit already.
      while (Math.round(value) >= STEP && unit < UNITS.length - 1) {
        value /= STEP;
        unit += 1;
      }
      return new Intl.NumberFormat(locale, {
        style: 'unit',
        unit: UNITS[unit] ?? 'byte',
        unitDisplay: unit === 0 ? 'long' : 'short',
        maximumFractionDigits: unit === 0 || value >= 9.95 ? 0 : 1,
      }).format(value);
    },

    /** `seconds` on a clock: `0:07`, `4:59`, `1:02:03`. What is no length at all is `0:00`. */
    clock: (seconds: number): string => {
      const whole = Number.isFinite(seconds) && seconds > 0 ? Math.floor(seconds) : 0;
      const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
      const parts = [hours > 0 ? two.format(minutes) : one.format(minutes), two.format(whole % 60)];
      return (hours > 0 ? [one.format(hours), ...parts] : parts).join(separator);
    },

    /** `seconds` in words, in the largest unit that leaves nothing over: `5 minutes`, `90 seconds`. */
    duration: (seconds: number): string => {
      const [unit, length] = LENGTHS.find(([, long]) => seconds % long === 0) ?? ['second', 1];
      return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(
        seconds / length,
      );
    },

    /** The time of day of an ISO 8601 instant, where the guest is. */
    time: (at: string): string => times.format(new Date(at)),

    /** `JPEG, PNG or GIF`. */
    either: (items: readonly string[]): string => choice.format(items),
  };
}

export type Formats = ReturnType<typeof formatsOf>;
