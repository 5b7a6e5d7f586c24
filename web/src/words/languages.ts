/** The languages of the page, and which of them a guest would rather read. */
import type { Formats } from './formats';
import type { Words } from './en';
import type { LaterWords } from './later_en';

interface Catalogue {
  /** In the language itself: whoever looks for it may read no other. */
  name: string;
  /** A file of its own, so that nobody loads a language that they do not read. */
  load: () => Promise<{ default: (formats: Formats) => Words }>;
  /** What is needed later, or never. */
  later: () => Promise<{ default: (formats: Formats) => LaterWords }>;
}

export const LANGUAGES = {
  en: { name: 'English', load: () => import('./en'), later: () => import('./later_en') },
  de: { name: 'Deutsch', load: () => import('./de'), later: () => import('./later_de') },
} satisfies Record<string, Catalogue>;

export type Language = keyof typeof LANGUAGES;

/** Whoever reads none of ours most likely knows some of this one. */
export const FALLBACK: Language = 'en';

export function isLanguage(tag: string): tag is Language {
  return Object.hasOwn(LANGUAGES, tag);
}

/** Our language for a tag: its own, or without what is special about it (RFC 4647 §3.4): `de-AT` is `de`. */
export function lookUp(tag: string): Language | null {
  const parts = tag.toLowerCase().split('-');
  for (; parts.length > 0; parts.pop()) {
    const shorter = parts.join('-');
    if (isLanguage(shorter)) return shorter;
  }
  return null;
}

/** The first of the languages that a guest `wants`, in order, of which we have the words. */
export function negotiate(wanted: readonly string[]): Language {
  return wanted.map(lookUp).find((language) => language !== null) ?? FALLBACK;
}

/** `language` as it is written where the guest is at home, if they say so: for `de`, perhaps `de-CH`. */
export function localeOf(language: Language, wanted: readonly string[]): string {
  return wanted.find((tag) => lookUp(tag) === language) ?? language;
}
