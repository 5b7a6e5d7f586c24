/** Whom a guest would like to meet: every part of it may be left out. */
import type { Limits, MatchingLimits, MatchRequest } from '../wire/types';

export type Mode = NonNullable<MatchRequest['mode']>;

export const MODES: readonly Mode[] = ['text', 'audio', 'video'];

export interface Preferences {
  /** In the guest's own words. */
  interests: readonly string[];
  /** Primary language subtags, the preferred one first. */
  languages: readonly string[];
  mode: Mode;
  /** Nothing of it is given up, however long it takes. */
  only: boolean;
}

export const NO_PREFERENCES: Preferences = {
  interests: [],
  languages: [],
  mode: 'text',
  only: false,
};

/** Why an interest is not taken. */
export type InterestProblem = 'many' | 'long' | 'repeated' | 'unusable';

/** Until the server has told what it takes, it is asked. */
const UNTOLD: MatchingLimits = {
  interests: Infinity,
  interestLength: Infinity,
  languages: Infinity,
  wants: [],
  only: false,
};

/** What a search may ask for. An older server, while it gives way to a newer one, tells nothing of it. */
export function matchingLimits(limits: Limits | null): MatchingLimits {
  return (limits as Partial<Limits> | null)?.matching ?? UNTOLD;
}

/** What a copied text may have beside what is seen, marks of direction for example. Joiners stay: emoji need them. */
const UNSEEN = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu;

/** What the server takes has one of these, and none of those. */
const SAYS_SOMETHING = /[\p{L}\p{N}\p{S}]/u;
const OF_MARKUP = /[<>]/u;

/** An interest as it is kept: without what nobody sees. */
export function tidied(text: string): string {
  const plain = text
    .normalize('NFC')
    .replace(UNSEEN, '')
    .replace(/[\p{Cc}\p{Z}]+/gu, ' ')
    .trim();
  return /[^\p{Cf}\p{Z}]/u.test(plain) ? plain : '';
}

/** The same for all ways to write it that make no difference. */
function folded(interest: string): string {
  return tidied(interest.normalize('NFKC')).toLowerCase();
}

export function hasInterest({ interests }: Preferences, interest: string): boolean {
  return interests.some((own) => folded(own) === folded(interest));
}

/** `preferences` with one interest more, or why it is not taken. One that says nothing changes nothing. */
export function withInterest(
  preferences: Preferences,
  text: string,
  limits: Limits | null,
): [Preferences, InterestProblem | null] {
  const { interests: most, interestLength } = matchingLimits(limits);
  const interest = tidied(text);
  if (interest === '') return [preferences, null];
  if (OF_MARKUP.test(interest) || !SAYS_SOMETHING.test(interest)) return [preferences, 'unusable'];
  if (hasInterest(preferences, interest)) return [preferences, 'repeated'];
  if (Array.from(interest).length > interestLength) return [preferences, 'long'];
  if (preferences.interests.length >= most) return [preferences, 'many'];
  return [{ ...preferences, interests: [...preferences.interests, interest] }, null];
}

export function withoutInterest(preferences: Preferences, interest: string): Preferences {
  return { ...preferences, interests: preferences.interests.filter((own) => own !== interest) };
}

/** `preferences` with a language more or less; where one stands is where it stands among the `offered`. */
export function withLanguage(
  preferences: Preferences,
  language: string,
  spoken: boolean,
  offered: readonly string[],
): Preferences {
  const { languages } = preferences;
  return {
    ...preferences,
    languages: offered.filter((tag) => (tag === language ? spoken : languages.includes(tag))),
  };
}

/** Primary language subtags of what a browser asks for, in order, each once: `de-AT` is `de`. */
export function primary(tags: readonly string[]): string[] {
  const languages = tags.flatMap((tag) => {
    try {
      // That of `und` is undefined in newer browsers.
      const { language = 'und' } = new Intl.Locale(tag) as { language?: string };
      return language;
    } catch {
      return [];
    }
  });
  return [...new Set(languages)].filter((language) => language !== 'und');
}

/** What of the languages is told to the server. */
export function told({ languages }: Preferences, limits: Limits | null): readonly string[] {
  return languages.slice(0, matchingLimits(limits).languages);
}

/** The preferences as the server takes them; what says nothing is left out. */
export function requestOf(preferences: Preferences, limits: Limits | null): MatchRequest {
  const { interests: most, only: choosable } = matchingLimits(limits);
  const interests = preferences.interests.slice(0, most);
  const languages = told(preferences, limits);
  const { mode, only } = preferences;
  return {
    // As many as the limits say, which the type spells out.
    ...(interests.length > 0 && { interests: interests as [string] }),
    ...(languages.length > 0 && { languages: languages as [string] }),
    ...(mode !== 'text' && { mode }),
    ...(only && choosable && { only }),
  };
}
