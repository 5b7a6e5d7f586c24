/** The language that the console speaks now. Whoever reads `words()` in a component follows a change. */
import { keep, kept } from '../kept';
import { formatsOf, type Formats } from '../../words/formats';
import type { Words } from './en';

const KEY = 'passerby.language';

export const LANGUAGES = {
  en: { name: 'English', load: () => import('./en') },
  de: { name: 'Deutsch', load: () => import('./de') },
} satisfies Record<
  string,
  { name: string; load: () => Promise<{ default: (f: Formats) => Words }> }
>;

export type Language = keyof typeof LANGUAGES;

export function isLanguage(tag: string): tag is Language {
  return Object.hasOwn(LANGUAGES, tag);
}

function primary(tag: string): string {
  return tag.toLowerCase().split('-')[0] ?? '';
}

/** The first of the `wanted` languages that there are words in; else English. */
export function negotiate(wanted: readonly string[]): Language {
  return wanted.map(primary).find(isLanguage) ?? 'en';
}

let spoken = $state.raw<{ language: Language; words: Words } | null>(null);

export function words(): Words {
  if (!spoken) throw new Error('nothing is shown before there are words');
  return spoken.words;
}

export function language(): Language {
  return spoken?.language ?? 'en';
}

/** Speak `wanted` from now on; false when its words cannot be had. */
async function speak(wanted: Language): Promise<boolean> {
  try {
    const { default: catalogue } = await LANGUAGES[wanted].load();
    const locale = navigator.languages.find((tag) => primary(tag) === wanted) ?? wanted;
    spoken = { language: wanted, words: catalogue(formatsOf(locale)) };
  } catch {
    return false;
  }
  document.documentElement.lang = spoken.words.lang;
  document.documentElement.dir = spoken.words.dir;
  return true;
}

export async function begin(): Promise<boolean> {
  return (await speak(remembered() ?? negotiate(navigator.languages))) || (await speak('en'));
}

/** The moderator's choice, now and the next time. */
export async function choose(wanted: Language): Promise<void> {
  if (await speak(wanted)) keep(KEY, wanted);
}

function remembered(): Language | null {
  const tag = kept(KEY);
  return tag !== null && isLanguage(tag) ? tag : null;
}
