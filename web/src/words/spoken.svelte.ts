/** The language that the page speaks now. Whoever reads `words()` in a component follows a change. */
import type { Words } from './en';
import type { LaterWords } from './later_en';
import { formatsOf, type Formats } from './formats';
import { isolate } from './isolate';
import { FALLBACK, isLanguage, LANGUAGES, localeOf, negotiate, type Language } from './languages';

const KEY = 'passerby.language';

interface Spoken {
  language: Language;
  words: Words;
  formats: Formats;
  /** Null until something needs them. */
  later: LaterWords | null;
}

let spoken = $state.raw<Spoken | null>(null);
/** Counts what was asked for, so that a language that comes late does not undo a later choice. */
let turn = 0;
let needsLater = false;

function now(): Spoken {
  if (!spoken) throw new Error('nothing is shown before there are words');
  return spoken;
}

export function words(): Words {
  return now().words;
}

/** The words of what is loaded later: it comes with them, see `speakLater`. */
export function laterWords(): LaterWords {
  const { later } = now();
  if (!later) throw new Error('what is loaded later is loaded with its words');
  return later;
}

/** The same, or null as long as they are not there. */
export function laterWordsIfThere(): LaterWords | null {
  return now().later;
}

export function formats(): Formats {
  return now().formats;
}

export function language(): Language {
  return now().language;
}

/** A stranger's name, to be put into a sentence of the page. */
export function isolated(name: string): string {
  return isolate(name, words().dir);
}

/** Speak `wanted` from now on; false when its words cannot be had. */
async function speak(wanted: Language): Promise<boolean> {
  turn += 1;
  const own = turn;
  try {
    const { load, later } = LANGUAGES[wanted];
    const catalogue = await load();
    const others = needsLater ? await later() : null;
    if (own !== turn) return true;
    const spelled = formatsOf(localeOf(wanted, navigator.languages));
    spoken = {
      language: wanted,
      formats: spelled,
      words: catalogue.default(spelled),
      later: others?.default(spelled) ?? null,
    };
  } catch {
    // No network, or a new version on the server that no longer has this file.
    return false;
  }
  document.documentElement.lang = spoken.words.lang;
  document.documentElement.dir = spoken.words.dir;
  return true;
}

/** Find the first words: the guest's own language, or English. False when there are none at all. */
export async function begin(): Promise<boolean> {
  return (await speak(remembered() ?? negotiate(navigator.languages))) || (await speak(FALLBACK));
}

/** Have the words of what is loaded later too, from now on in every language. Raises if they cannot be had. */
export async function speakLater(): Promise<void> {
  needsLater = true;
  while (spoken?.later === null) {
    const { language, formats: spelled } = spoken;
    const { default: catalogue } = await LANGUAGES[language].later();
    if (spoken.language === language) spoken = { ...spoken, later: catalogue(spelled) };
  }
}

/** The guest's choice, now and the next time. False, and nothing changes, when its words cannot be had. */
export async function choose(wanted: Language): Promise<boolean> {
  const done = await speak(wanted);
  if (done) remember(wanted);
  return done;
}

function remembered(): Language | null {
  try {
    const kept = localStorage.getItem(KEY);
    return kept !== null && isLanguage(kept) ? kept : null;
  } catch {
    return null;
  }
}

function remember(wanted: Language): void {
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // Storage may be forbidden or full: then the choice lasts as long as the page.
  }
}
