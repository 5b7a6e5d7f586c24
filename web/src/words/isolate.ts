const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/**
 * A stranger's name as part of a sentence, where there can be no `<bdi>`: it must not turn the words
 * around it. Between the marks that `<bdi>` stands for (FSI and PDI) if it may run the other way.
 */
export function isolate(name: string, dir: 'ltr' | 'rtl'): string {
  const turns = dir === 'rtl' || RIGHT_TO_LEFT.test(name);
  return turns ? `\u2068${name}\u2069` : name;
}
