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
  const sum = new Intl.ListFormat(locale, { type: 'conjunction' });
  const parts = new Intl.ListFormat(locale, { type: 'unit' });
  const days = new Intl.DateTimeFormat(locale, {
    weekday: 'long',
    hour: '2-digit',
    minute: '2-digit',
  });
  const languages = new Intl.DisplayNames(locale, { type: 'language' });
  const separator = separatorOf(locale);

  function measure(value: number, name: 'second' | 'minute' | 'hour'): string {
    return new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: 'long' }).format(
      value,
    );
  }

  return {
    locale,

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
      const [name, length] = LENGTHS.find(([, long]) => seconds % long === 0) ?? ['second', 1];
      return measure(seconds / length, name);
    },

    /** Whole `seconds` in words, as they pass: `12 seconds`, `3 minutes, 5 seconds`. */
    span: (seconds: number): string => {
      const whole = Math.max(0, Math.floor(seconds));
      if (whole < 60) return measure(whole, 'second');
      return parts.format([
        measure(Math.floor(whole / 60), 'minute'),
        measure(whole % 60, 'second'),
      ]);
    },

    /** `seconds` of which nobody knows better: `3 seconds`, `20 seconds`, `2 minutes`. */
    about: (seconds: number): string => {
      if (seconds < 8) return measure(Math.max(1, Math.round(seconds)), 'second');
      if (seconds < 58) return measure(Math.round(seconds / 5) * 5, 'second');
      return measure(Math.max(1, Math.round(seconds / 60)), 'minute');
    },

    /** When something will be, to the minute; with the day of the week unless that is today, as of `now`. */
    moment: (at: Date, now: Date): string => {
      const minute = new Date(at);
      minute.setSeconds(minute.getSeconds() + 30);
      return (minute.toDateString() === now.toDateString() ? times : days).format(minute);
    },

    /** What a language is called, by its tag: `German`. */
    language: (tag: string): string => {
      try {
        return languages.of(tag) ?? tag;
      } catch {
        return tag;
      }
    },

    /** The time of day of an ISO 8601 instant, where the guest is. */
    time: (at: string): string => times.format(new Date(at)),

    /** `JPEG, PNG or GIF`. */
    either: (items: readonly string[]): string => choice.format(items),

    /** `JPEG, PNG and GIF`. */
    all: (items: readonly string[]): string => sum.format(items),
  };
}

export type Formats = ReturnType<typeof formatsOf>;
