/** Texts that depend on what has happened, put together from the words of the language. */
import type { Attachment } from '../chat/attachments';
import type { Conversation } from '../chat/conversation';
import type { SharedFile } from '../chat/files';
import { told } from '../chat/preferences';
import type { State } from '../chat/state';
import type { Trouble } from '../chat/trouble';
import { extensionOf } from '../text/extension';
import type { Limits, ReportStatus, Shared } from '../wire/types';
import type { Sentence, Words } from './en';
import type { LaterWords } from './later_en';
import { isolate } from './isolate';

function find<T>(sentences: Partial<Record<string, T>>, code: string): T | undefined {
  return Object.hasOwn(sentences, code) ? sentences[code] : undefined;
}

/**
 * `trouble` as a sentence; of some, only `later` knows one. For a code that only a newer server knows there is one that
 * fits all.
 */
export function troubleText(
  words: Words,
  trouble: Trouble,
  limits: Limits | null,
  later: LaterWords | null = null,
): string {
  const own =
    find<Sentence>(words.codes, trouble) ??
    find<Sentence>(words.troubles, trouble) ??
    (later ? find<Sentence>(later.codes, trouble) : undefined);
  return sentenceOf(words, own, limits);
}

/** The same of a file that is being sent. */
export function uploadTroubleText(
  words: Words,
  later: LaterWords | null,
  trouble: Trouble,
  limits: Limits | null,
): string {
  const own = later ? find<Sentence>(later.upload, trouble) : undefined;
  return own === undefined
    ? troubleText(words, trouble, limits, later)
    : sentenceOf(words, own, limits);
}

/** What has become of a report. */
export function reportText(later: LaterWords, status: ReportStatus): string {
  const { state, action = 'none', decidedAt } = status;
  const { state: states, action: actions, decided } = later.reports;
  const when = decidedAt === undefined ? '' : decided(new Date(decidedAt));
  return [states[state], actions[action], when].filter((part) => part !== '').join(' ');
}

function sentenceOf(words: Words, sentence: Sentence | undefined, limits: Limits | null): string {
  if (typeof sentence === 'function') {
    // Only the server's numbers make a sentence of it.
    return limits ? sentence(named(limits)) : sentenceOf(words, words.troubles.unexpected, null);
  }
  return sentence ?? sentenceOf(words, words.troubles.unexpected, limits);
}

/** Kinds of pictures by the names that people know them by: `image/jpeg` is a JPEG. */
function named(limits: Limits): Limits {
  const names = limits.pictureTypes.map((type) => {
    const [, kind = type] = type.split('/');
    return kind === 'webp' ? 'WebP' : kind.toUpperCase();
  });
  return { ...limits, pictureTypes: names };
}

export function attachmentName(words: Words, { kind, name, duration }: Attachment): string {
  return kind === 'voice' ? words.attachments.voice(duration ?? 0) : name;
}

/** What a file is, in a word or two: `PDF · 1.2 MB`. */
export function fileFacts(words: LaterWords, { name, kind, size }: SharedFile): string {
  return words.file.facts(extensionOf(name) || words.file.kind[kind], size);
}

/** Whom the search looks for now; before the server has told, nothing. */
export function stageText(words: Words, { search, preferences, limits }: State): string {
  if (!search) return '';
  const interests = preferences.interests.map((interest) => isolate(interest, words.dir));
  const stage = search.stage === 'interests' && interests.length === 0 ? 'language' : search.stage;
  return words.search.stage[stage](interests, told(preferences, limits));
}

/** A wait of which nobody needs to be told. */
const SHORT_S = 2;

/** What to expect of a search: whether there is anybody, and how long it usually takes, if that is known. */
export function expectationText(words: Words, { search, nobodyYet }: State): string {
  const { nobody, usual, calm } = words.search;
  const usually = search?.usualWait ?? 0;
  const told = [...(nobodyYet ? [nobody] : []), ...(usually < SHORT_S ? [] : [usual(usually)])];
  return told.join(' ') || calm;
}

/** What two have in common; nothing when it is nothing. */
export function sharedText(words: Words, shared: Shared | null): string {
  if (!shared || (shared.interests.length === 0 && shared.language === null)) return '';
  const interests = shared.interests.map((interest) => isolate(interest, words.dir));
  return words.conversation.shared(interests, shared.language);
}

/** What has become of a conversation; nothing while it goes on. */
export function endingText(
  words: Words,
  { ending, mayReturn }: Conversation,
  name: string,
): string {
  if (!ending) return '';
  const { ended, mayReturn: waits } = words.conversation;
  return mayReturn === null ? ended[ending](name) : waits(name, Math.round(mayReturn.seconds));
}
