import { describe, expect, it } from 'vitest';
import {
  NO_PREFERENCES,
  primary,
  requestOf,
  tidied,
  withInterest,
  withLanguage,
  withoutInterest,
  type InterestProblem,
  type Preferences,
} from './preferences';
import {
  connected,
  emitted,
  established,
  event,
  LIMITS,
  MATCHED,
  PARTNER,
  ROOM,
  run,
  talking,
} from './samples';
import { initial, save, type Input } from './state';
import type { Limits } from '../wire/types';

const CHOSEN: Preferences = {
  interests: ['music', 'chess'],
  languages: ['de', 'en'],
  mode: 'video',
  only: true,
};
const PREFER: Input = { type: 'prefer', preferences: CHOSEN };
const START: Input = { type: 'start', username: 'CalmOtter1000' };
const DOWN: Input = { type: 'down', retrying: true };
const WANTED = {
  interests: ['music', 'chess'],
  languages: ['de', 'en'],
  mode: 'video',
  only: true,
};

describe('an interest', () => {
  it.each([
    ['  night \u00a0trains ', 'night trains'],
    ['tea\tand\u0007honey', 'tea and honey'],
    ['Mu\u0301sica', 'Música'],
    ['♟️', '♟️'],
    ['שח', 'שח'],
    ['<b>', '<b>'],
    [' \u200b ', ''],
    ['\u200f\u202eשח\ufeff', 'שח'],
    ['👨\u200d👩\u200d👧', '👨\u200d👩\u200d👧'],
    ['', ''],
  ])('%j is kept as %j', (text, kept) => {
    expect(tidied(text)).toBe(kept);
  });

  it.each<[string, InterestProblem | null]>([
    ['tea', null],
    ['123456789012', null],
    ['🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘', null],
    ['1234567890123', 'long'],
    ['MUSIC', 'repeated'],
    [' Music ', 'repeated'],
    ['ｍｕｓｉｃ', 'repeated'],
    ['músic', null],
    ['   ', null],
    ['I <3 cats', 'unusable'],
    ['<b>', 'unusable'],
    ['?!', 'unusable'],
  ])('%j beside others: %s', (text, problem) => {
    const [next, why] = withInterest(CHOSEN, text, LIMITS);
    expect(why).toBe(problem);
    const added = problem === null && text.trim() !== '';
    expect(next.interests).toEqual([...CHOSEN.interests, ...(added ? [text] : [])]);
  });

  it('that is one too many is not taken, and a removed one makes room', () => {
    const [three] = withInterest(CHOSEN, 'tea', LIMITS);
    expect(withInterest(three, 'rain', LIMITS)).toEqual([three, 'many']);
    const two = withoutInterest(three, 'music');
    expect(withInterest(two, 'rain', LIMITS)[0].interests).toEqual(['chess', 'tea', 'rain']);
  });

  it('is taken before the server has told its limits', () => {
    const [next] = withInterest(NO_PREFERENCES, 'a very long interest indeed', null);
    expect(next.interests).toHaveLength(1);
  });
});

describe('languages', () => {
  it('are those of the browser, each once, without regions', () => {
    expect(primary(['de-AT', 'de', 'en-US', 'zh-Hant-TW', 'x', '', 'und'])).toEqual([
      'de',
      'en',
      'zh',
    ]);
  });

  it('are chosen in the order in which they are offered', () => {
    const offered = ['fr', 'de', 'en'];
    expect(withLanguage(CHOSEN, 'fr', true, offered).languages).toEqual(offered);
    expect(withLanguage(CHOSEN, 'de', false, offered).languages).toEqual(['en']);
  });
});

describe('what is asked for', () => {
  it('leaves out what says nothing', () => {
    expect(requestOf(NO_PREFERENCES, LIMITS)).toEqual({});
  });

  it('is no more than the server takes', () => {
    const many = ['a', 'b', 'c', 'd'];
    const asked = requestOf({ ...CHOSEN, interests: many, languages: many }, LIMITS);
    expect(asked).toEqual({ ...WANTED, interests: ['a', 'b', 'c'], languages: ['a', 'b'] });
    const plain: Limits = { ...LIMITS, matching: { ...LIMITS.matching, only: false } };
    expect(requestOf(CHOSEN, plain)).not.toHaveProperty('only');
  });

  it('may be told to a server that knows of no limits', () => {
    const older: Partial<Limits> = { ...LIMITS };
    delete older.matching;
    expect(requestOf(CHOSEN, older as Limits)).toMatchObject({ interests: ['music', 'chess'] });
  });

  const choosing = run(connected(), PREFER).state;
  const rested: Input = { type: 'timer', key: 'rest' };

  it.each<[string, Input[]]>([
    ['first', [START]],
    ['with Next', [START, MATCHED, rested, { type: 'next' }]],
    [
      'again after a pause',
      [
        START,
        event('user:match:error', { message: '', code: 'rate_limited', retryAfter: 1 }),
        { type: 'timer', key: 'search' },
      ],
    ],
    ['after a lost connection', [START, DOWN, established(false)]],
    [
      'after somebody has gone',
      [
        START,
        MATCHED,
        event('room:user_left', { userId: 'guest_them', username: '', message: '' }),
        { type: 'next' },
      ],
    ],
  ])('goes with every search: %s', (_, inputs) => {
    const asked = emitted(run(choosing, ...inputs).effects);
    expect(asked.filter(([name]) => name === 'user:match')).toEqual([['user:match', WANTED]]);
  });

  it('outlives a reload, and what an older client left behind has the browser’s languages', () => {
    const saved = save(run(choosing, START).state);
    const fresh = run(initial(), { type: 'boot', saved, online: true }, established(false));
    expect(emitted(fresh.effects)).toEqual([['user:match', WANTED]]);
    delete saved?.preferences;
    const browser = { ...NO_PREFERENCES, languages: ['fr'] };
    const older = run(initial(browser), { type: 'boot', saved, online: true }).state;
    expect(older.preferences).toBe(browser);
  });

  it('is said to be wrong at the start, where it can be changed', () => {
    const refusal = { message: '', code: 'interest_invalid', field: 'interests' } as const;
    const { state } = run(choosing, START, event('user:match:error', refusal));
    expect(state).toMatchObject({ view: 'start', notice: 'interest_invalid', preferences: CHOSEN });
  });
});

describe('how a search goes', () => {
  const searching = run(connected(), START, event('user:match:no_users', { message: '' })).state;
  const stage = { message: '', stage: 'language', waiting: 1, elapsed: 4.5 } as const;

  it('is what the server said last', () => {
    const { state } = run(searching, event('user:match:searching', stage));
    expect(state.search).toEqual({ stage: 'language', waiting: 1, elapsed: 4.5 });
    expect(state.nobodyYet).toBe(true);
    const others = event('user:match:searching', { ...stage, waiting: 2, usualWait: 9 });
    const later = run(state, others).state;
    expect(later).toMatchObject({ search: { waiting: 2, usualWait: 9 }, nobodyYet: false });
    expect(run(later, MATCHED).state.search).toBeNull();
  });

  it('is not that nobody searches when others do who do not fit yet', () => {
    const none = event('user:match:no_users', { message: '' });
    const beside = event('user:match:searching', { ...stage, waiting: 2 });
    expect(run(connected(), START, beside, none).state.nobodyYet).toBe(false);
    const alone = event('user:match:searching', stage);
    expect(run(connected(), START, alone, none).state.nobodyYet).toBe(true);
  });

  it('is nothing to who does not search', () => {
    const late = event('user:match:searching', stage);
    expect(run(connected(), late).state.search).toBeNull();
    expect(run(searching, late, { type: 'cancel' }, START).state.search).toBeNull();
  });
});

describe('how two have met', () => {
  const shared = { interests: ['chess'], language: 'de' };
  const matched = event('user:matched', {
    ...ROOM,
    matchedUser: PARTNER,
    shared,
    metBefore: true,
  });
  const { state } = run(connected(), PREFER, START, matched);
  const meeting = { shared, before: true, mode: 'video' };

  it('is known to the conversation, also after a reload', () => {
    expect(state.conversation?.meeting).toEqual(meeting);
    const boot: Input = { type: 'boot', saved: save(state), online: true };
    expect(run(initial(), boot).state.conversation?.meeting).toEqual(meeting);
  });

  it('may be nothing', () => {
    const nothing = { shared: null, before: false, mode: 'text' };
    expect(talking().conversation?.meeting).toEqual(nothing);
    expect(run(connected(), DOWN, established(true)).state.conversation?.meeting).toEqual(nothing);
  });
});
