import { describe, expect, it } from 'vitest';
import { open } from '../chat/conversation';
import { NO_PREFERENCES } from '../chat/preferences';
import { LIMITS, PARTNER } from '../chat/samples';
import { initial, type Search, type State } from '../chat/state';
import type { Trouble } from '../chat/trouble';
import type { CallRecord } from '../chat/call';
import type { Limits } from '../wire/types';
import german from './de';
import english from './en';
import { away } from './dates';
import { formatsOf } from './formats';
import { isolate } from './isolate';
import laterGerman from './later_de';
import laterEnglish from './later_en';
import { LANGUAGES, localeOf, lookUp, negotiate } from './languages';
import {
  endingText,
  fileFacts,
  reportText,
  sharedText,
  expectationText,
  stageText,
  troubleText,
  uploadTroubleText,
} from './telling';

/** Spaces that keep lines from breaking are spaces. */
function plain(text: string): string {
  return text.replace(/[\u00a0\u202f]/g, ' ');
}

const en = english(formatsOf('en-GB'));
const de = german(formatsOf('de'));
const laterEn = laterEnglish(formatsOf('en-GB'));
const laterDe = laterGerman(formatsOf('de'));

describe('the language', () => {
  it.each<[string[], string]>([
    [['de'], 'de'],
    [['de-AT', 'en'], 'de'],
    [['DE-ch-1996'], 'de'],
    [['en-US', 'de'], 'en'],
    [['xx-XX', 'xx', 'de-DE', 'en'], 'de'],
    [['xx', 'qaa'], 'en'],
    [['deutsch'], 'en'],
    [['', 'x', 'constructor'], 'en'],
    [[], 'en'],
  ])('for %j is %s', (wanted, language) => {
    expect(negotiate(wanted)).toBe(language);
  });

  it('is looked up from what is special to what is common', () => {
    expect(lookUp('de-Latn-AT')).toBe('de');
    expect(lookUp('qaa-Latn-XX')).toBeNull();
  });

  it('is written as where the guest is at home', () => {
    expect(localeOf('de', ['xx', 'de-CH', 'de'])).toBe('de-CH');
    expect(localeOf('de', ['en-GB'])).toBe('de');
  });
});

/** Every text of a catalogue; of functions, what they are made of. */
function texts(words: object): string[] {
  return Object.entries(words).flatMap(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') return key === 'received' || key === 'none' ? [] : [value];
    return typeof value === 'object' && value !== null ? texts(value) : [];
  });
}

/** The words of every language, whichever there are. */
const catalogues = await Promise.all(
  Object.entries(LANGUAGES).map(async ([tag, { load, later }]) => {
    const [{ default: catalogue }, { default: others }] = await Promise.all([load(), later()]);
    return [tag, catalogue(formatsOf(tag)), others(formatsOf(tag))] as const;
  }),
);

describe.each(catalogues)('the words in %s', (tag, words, later) => {
  it('say whose they are, and which way they are read', () => {
    expect(words.lang).toBe(tag);
    expect(['ltr', 'rtl']).toContain(words.dir);
  });

  it('are none of them empty', () => {
    expect([...texts(words), ...texts(later)].filter((text) => text.trim() === '')).toEqual([]);
  });

  it('have a sentence for every trouble, with the server’s numbers in it', () => {
    const codes = [words.codes, words.troubles, later.codes].flatMap(Object.keys) as Trouble[];
    for (const code of codes) {
      for (const limits of [LIMITS, null]) {
        for (const sentence of [
          troubleText(words, code, limits, later),
          uploadTroubleText(words, later, code, limits),
        ]) {
          expect(sentence).toMatch(/^\S.*\S$/);
          expect(sentence).not.toMatch(/NaN|undefined|null|\[object|\$\{/);
        }
      }
    }
  });

  it('have a question to begin with for every one that English has, each of its own', () => {
    expect(later.topics).toHaveLength(laterEn.topics.length);
    expect(new Set(later.topics).size).toBe(laterEn.topics.length);
    expect(laterEn.topics.length).toBeGreaterThanOrEqual(30);
    for (const topic of later.topics) expect(topic.trim()).toMatch(/^.{8,90}[?؟？;]$/u);
  });

  it('have one for what they do not know', () => {
    for (const code of ['something_new', 'constructor', ''] as string[] as Trouble[])
      expect(troubleText(words, code, LIMITS)).toBe(words.troubles.unexpected);
  });
});

describe.each([
  ['English', en],
  ['German', de],
])('the sentences in %s', (_, words) => {
  it('end with a full stop', () => {
    for (const code of [...Object.keys(words.codes), ...Object.keys(words.troubles)] as Trouble[])
      expect(troubleText(words, code, LIMITS)).toMatch(/[.]$/);
  });
});

describe('troubles', () => {
  const small: Limits = { ...LIMITS, fileSize: 5 * 1024 ** 2, filesPerMessage: 1 };

  it.each<[Trouble, Limits, string, string]>([
    [
      'file_too_large',
      LIMITS,
      'This file is too large. At most 20 MB is allowed.',
      'Diese Datei ist zu groß: Höchstens 20 MB sind möglich.',
    ],
    [
      'file_too_large',
      small,
      'This file is too large. At most 5 MB is allowed.',
      'Diese Datei ist zu groß: Höchstens 5 MB sind möglich.',
    ],
    [
      'too_many_files',
      LIMITS,
      'That was a lot at once: only the first 3 files were taken.',
      'Das war viel auf einmal: Nur die ersten 3 Dateien wurden übernommen.',
    ],
    [
      'too_many_files',
      small,
      'That was a lot at once: only the first file was taken.',
      'Das war viel auf einmal: Nur die erste Datei wurde übernommen.',
    ],
    [
      'text_too_long',
      LIMITS,
      'The message is too long. At most 1,234 characters are allowed.',
      'Die Nachricht ist zu lang: Höchstens 1.234 Zeichen sind möglich.',
    ],
    [
      'duration_invalid',
      LIMITS,
      'This voice note is too short, or longer than 2 minutes.',
      'Diese Sprachnachricht ist zu kurz oder länger als 2 Minuten.',
    ],
    [
      'picture_too_large',
      LIMITS,
      'This picture has too many pixels. At most 12 million are allowed.',
      'Dieses Bild hat zu viele Pixel: Höchstens 12 Millionen sind möglich.',
    ],
    [
      'unsupported_type',
      LIMITS,
      'Files of this kind cannot be sent, because place and time cannot be removed from them. Pictures can be JPEG, WebP or GIF.',
      'Dateien dieser Art lassen sich nicht senden, weil sich Ort und Zeit nicht aus ihnen entfernen lassen. Bilder können JPEG, WebP oder GIF sein.',
    ],
  ])('%s', (code, limits, inEnglish, inGerman) => {
    expect(plain(troubleText(en, code, limits, laterEn))).toBe(inEnglish);
    expect(plain(troubleText(de, code, limits, laterDe))).toBe(inGerman);
  });

  it('of a file on its way have words of their own', () => {
    expect(uploadTroubleText(en, laterEn, 'unreachable', LIMITS)).toBe('The connection broke off.');
    expect(uploadTroubleText(en, laterEn, 'room_closed', LIMITS)).toBe(
      troubleText(en, 'room_closed', LIMITS),
    );
  });
});

describe('what is counted', () => {
  it.each([
    [0, '0 conversations', '0 Gespräche'],
    [1, '1 conversation', '1 Gespräch'],
    [2, '2 conversations', '2 Gespräche'],
    [12_345, '12,345 conversations', '12.345 Gespräche'],
  ])('%d', (count, inEnglish, inGerman) => {
    expect(en.counts.talking(count)).toBe(inEnglish);
    expect(de.counts.talking(count)).toBe(inGerman);
  });

  it('follows the rules of the language, whatever they are', () => {
    const { plural } = formatsOf('pl');
    const forms = { one: '# plik', few: '# pliki', many: '# plików', other: '# pliku' };
    expect([1, 2, 5, 22, 25].map((count) => plural(count, forms))).toEqual([
      '1 plik',
      '2 pliki',
      '5 plików',
      '22 pliki',
      '25 plików',
    ]);
  });
});

describe('sizes', () => {
  const [british, austrian] = [formatsOf('en-GB'), formatsOf('de')];

  it.each([
    [0, '0 bytes', '0 Byte'],
    [1, '1 byte', '1 Byte'],
    [1023, '1,023 bytes', '1.023 Byte'],
    [1024, '1 kB', '1 kB'],
    [1536, '1.5 kB', '1,5 kB'],
    [10_000, '9.8 kB', '9,8 kB'],
    [20_000, '20 kB', '20 kB'],
    [1024 * 1024 - 1, '1 MB', '1 MB'],
    [10 * 1024 * 1024, '10 MB', '10 MB'],
    [5 * 1024 ** 4, '5,120 GB', '5.120 GB'],
  ])('%d', (bytes, inEnglish, inGerman) => {
    expect(plain(british.size(bytes))).toBe(inEnglish);
    expect(plain(austrian.size(bytes))).toBe(inGerman);
  });

  it('stand behind what the file is', () => {
    const file = {
      id: '1',
      kind: 'document' as const,
      mimeType: '',
      size: 1536,
      url: null,
      downloadUrl: null,
      duration: null,
      pixels: null,
      waveform: [],
    };
    expect(plain(fileFacts(laterDe, { ...file, name: 'plan.pdf' }))).toBe('PDF · 1,5 kB');
    expect(plain(fileFacts(laterDe, { ...file, name: 'README' }))).toBe('Datei · 1,5 kB');
  });
});

describe('times', () => {
  it.each([
    [0, '0:00'],
    [7.9, '0:07'],
    [61, '1:01'],
    [300, '5:00'],
    [3723, '1:02:03'],
    [-1, '0:00'],
    [NaN, '0:00'],
    [Infinity, '0:00'],
  ])('%d s on a clock is %s', (seconds, text) => {
    expect(formatsOf('en').clock(seconds)).toBe(text);
    expect(formatsOf('de').clock(seconds)).toBe(text);
  });

  it('on a clock are written as they are at home', () => {
    expect(formatsOf('fi').clock(61)).toBe('1.01');
    expect(formatsOf('ar-EG').clock(61)).toBe('١:٠١');
  });

  it.each([
    [1, '1 second', '1 Sekunde'],
    [90, '90 seconds', '90 Sekunden'],
    [300, '5 minutes', '5 Minuten'],
    [3600, '1 hour', '1 Stunde'],
  ])('%d s in words', (seconds, inEnglish, inGerman) => {
    expect(formatsOf('en').duration(seconds)).toBe(inEnglish);
    expect(formatsOf('de').duration(seconds)).toBe(inGerman);
  });

  it('of day follow the guest’s region', () => {
    const afternoon = new Date(2026, 0, 2, 15, 4).toISOString();
    expect(formatsOf('de').time(afternoon)).toBe('15:04');
    expect(formatsOf('en-GB').time(afternoon)).toBe('15:04');
    expect(plain(formatsOf('en-US').time(afternoon))).toBe('03:04 PM');
  });

  it('of a call stand in its line', () => {
    const call: CallRecord = { kind: 'video', outgoing: true, outcome: 'talked', seconds: 83 };
    expect(en.call.line.talked(call, 'Otter')).toBe('Video call · You called · 1:23');
    expect(de.call.line.talked(call, 'Otter')).toBe('Videoanruf von dir · 1:23');
  });
});

describe('a search', () => {
  const preferences = { interests: ['music', 'chess'], languages: ['de', 'fr'] };
  const told = { waiting: 2, elapsed: 0 };
  const state = (stage: Search['stage'], changes: object = {}): State => ({
    ...initial({ ...NO_PREFERENCES, ...preferences, ...changes }),
    limits: LIMITS,
    search: { stage, ...told },
  });

  it.each<[Search['stage'], string, string]>([
    [
      'interests',
      'Looking for someone who likes music or chess…',
      'Gesucht wird jemand, der music oder chess mag\u00a0…',
    ],
    [
      'language',
      'Looking for someone who speaks German or French…',
      'Gesucht wird jemand, der Deutsch oder Französisch spricht\u00a0…',
    ],
    [
      'anyone',
      'Looking for anyone who comes by…',
      'Gesucht wird, wer auch immer vorbeikommt\u00a0…',
    ],
    [
      'again',
      'Looking for anyone, perhaps someone you have met before…',
      'Gesucht wird, wer auch immer vorbeikommt, vielleicht jemand, den du schon getroffen hast\u00a0…',
    ],
  ])('that asks for %s says so', (stage, inEnglish, inGerman) => {
    expect(stageText(en, state(stage))).toBe(inEnglish);
    expect(stageText(de, state(stage))).toBe(inGerman);
  });

  it('says it also without words of the guest', () => {
    const nothing = { interests: [], languages: [] };
    expect(stageText(en, state('language', nothing))).toMatch('speaks your language');
    expect(stageText(en, initial())).toBe('');
  });

  it.each<[boolean, number | undefined, string]>([
    [false, undefined, 'This usually takes a moment.'],
    [false, 1.9, 'This usually takes a moment.'],
    [false, 43, 'At this hour it usually takes about 45 seconds.'],
    [true, undefined, en.search.nobody],
    [true, 43, `${en.search.nobody} At this hour it usually takes about 45 seconds.`],
  ])('says what is usual, also when nobody is there (%s, %s)', (nobodyYet, usualWait, text) => {
    const before = state('language');
    const search = before.search && {
      ...before.search,
      ...(usualWait !== undefined && { usualWait }),
    };
    expect(plain(expectationText(en, { ...before, search, nobodyYet }))).toBe(text);
  });

  it('keeps a word that is read the other way together', () => {
    const hebrew = state('interests', { interests: ['שח', 'tea'] });
    expect(stageText(en, hebrew)).toBe('Looking for someone who likes \u2068שח\u2069 or tea…');
  });

  it.each([
    [0, '0 seconds', '0 Sekunden'],
    [1.9, '1 second', '1 Sekunde'],
    [65, '1 minute, 5 seconds', '1 Minute, 5 Sekunden'],
    [3600, '60 minutes, 0 seconds', '60 Minuten, 0 Sekunden'],
  ])('of %d s', (seconds, inEnglish, inGerman) => {
    expect(formatsOf('en').span(seconds)).toBe(inEnglish);
    expect(formatsOf('de').span(seconds)).toBe(inGerman);
  });

  it.each([
    [0.2, '1 second'],
    [3.4, '3 seconds'],
    [8, '10 seconds'],
    [43, '45 seconds'],
    [58, '1 minute'],
    [140, '2 minutes'],
  ])('of usually %d s', (seconds, text) => {
    expect(formatsOf('en').about(seconds)).toBe(text);
  });
});

describe('what two share', () => {
  it.each([
    [null, '', ''],
    [{ interests: [], language: null }, '', ''],
    [{ interests: ['tea'], language: null }, 'You both like tea.', 'Ihr mögt beide tea.'],
    [{ interests: [], language: 'de' }, 'You both speak German.', 'Ihr sprecht beide Deutsch.'],
    [
      { interests: ['tea', 'chess'], language: 'en' },
      'You both like tea and chess, and you both speak English.',
      'Ihr mögt beide tea und chess, und ihr sprecht beide Englisch.',
    ],
    [{ interests: [], language: 'no tag' }, 'You both speak no tag.', 'Ihr sprecht beide no tag.'],
  ])('%j', (shared, inEnglish, inGerman) => {
    expect(sharedText(en, shared)).toBe(inEnglish);
    expect(sharedText(de, shared)).toBe(inGerman);
  });
});

describe('the end', () => {
  const conversation = { ...open({ roomId: '', epoch: 1, partner: PARTNER }) };

  it('may not be one for a while', () => {
    expect(endingText(en, conversation, 'Otter')).toBe('');
    const left = { ...conversation, ending: 'left' as const };
    expect(endingText(en, left, 'Otter')).toBe('Otter has moved on.');
    const waiting = { ...left, mayReturn: { seconds: 5 } };
    expect(endingText(en, waiting, 'Otter')).toBe(
      'Otter pressed Next. They can come back for 5 seconds.',
    );
    expect(endingText(de, { ...left, mayReturn: { seconds: 1 } }, 'Otter')).toBe(
      'Otter hat „Weiter“ gedrückt und kann 1 Sekunde lang zurückkommen.',
    );
  });
});

describe('when something will be', () => {
  const now = new Date(2026, 0, 2, 15, 4, 30);

  it.each<[Date, string, string]>([
    [new Date(2026, 0, 2, 18, 59, 59, 900), '19:00', '19:00'],
    [new Date(2026, 0, 4, 10, 30), 'Sunday 10:30', 'Sonntag 10:30'],
  ])('%s', (at, inEnglish, inGerman) => {
    expect(
      formatsOf('en-GB')
        .moment(at, now)
        .replace(/,| at| um/g, ''),
    ).toBe(inEnglish);
    expect(
      formatsOf('de')
        .moment(at, now)
        .replace(/,| at| um/g, ''),
    ).toBe(inGerman);
  });
});

describe('how far away something is', () => {
  it.each([
    [-5, 'in 1 minute', 'in 1 Minute'],
    [90, 'in 2 minutes', 'in 2 Minuten'],
    [2 * 3600, 'in 2 hours', 'in 2 Stunden'],
    [86_400 * 7 - 60, 'in 7 days', 'in 7 Tagen'],
    [86_400 * 100, 'in 4 months', 'in 4 Monaten'],
  ])('%d s', (seconds, inEnglish, inGerman) => {
    expect(away(formatsOf('en-GB'), seconds)).toBe(inEnglish);
    expect(away(formatsOf('de'), seconds)).toBe(inGerman);
  });
});

describe('what has become of a report', () => {
  const report = { rule: 'hate', reportedAt: '2026-01-01T00:00:00.000Z' } as const;

  it('is said in words', () => {
    expect(reportText(laterEn, { ...report, state: 'waiting' })).toBe('Nobody has decided yet.');
    const decidedAt = '2026-01-02T12:00:00.000Z';
    expect(reportText(laterEn, { ...report, state: 'decided', action: 'ban', decidedAt })).toMatch(
      /^It was looked at[.] The other one was banned[.] Decided 2 January 2026.*[.]$/,
    );
    expect(reportText(laterDe, { ...report, state: 'dismissed', action: 'none' })).toBe(
      'Jemand hat es sich angesehen und keinen Verstoß gefunden.',
    );
  });
});

describe('shares', () => {
  it.each([
    [0, '0%', '0 %'],
    [0.299, '29%', '29 %'],
    [0.999, '99%', '99 %'],
  ])('%d', (share, inEnglish, inGerman) => {
    expect(plain(formatsOf('en').percent(share))).toBe(inEnglish);
    expect(plain(formatsOf('de').percent(share))).toBe(inGerman);
  });
});

describe('a name in a sentence', () => {
  it.each([
    ['Otter_1', 'ltr', 'Otter_1'],
    ['Otter_1', 'rtl', '\u2068Otter_1\u2069'],
    ['تقرير.pdf', 'ltr', '\u2068تقرير.pdf\u2069'],
  ] as const)('%j, read %s', (name, dir, text) => {
    expect(isolate(name, dir)).toBe(text);
  });
});
