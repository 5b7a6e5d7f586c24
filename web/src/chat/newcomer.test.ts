import { describe, expect, it } from 'vitest';
import { ageProofOf, dayOf, pageOf, question, remaining } from './questions';
import type { Refused } from './newcomer';
import { connected, CREATED, run, talking } from './samples';
import { initial, type Input } from './state';

const refusal = (trouble: Refused['trouble'], more: Partial<Refused> = {}): Input => ({
  type: 'sessionFailed',
  trouble,
  retryAfter: null,
  username: null,
  ...more,
});
const BOOT: Input = { type: 'boot', saved: null, online: true };
const CHALLENGE = { parameters: {} };

describe('a newcomer', () => {
  const asked = run(initial(), BOOT, refusal('proof_required', { challenge: CHALLENGE })).state;

  it('is asked, and nothing is tried meanwhile', () => {
    const { state, effects } = run(initial(), BOOT, refusal('age_required'));
    expect(state.asked).toMatchObject({ trouble: 'age_required' });
    expect(effects).toEqual([]);
  });

  it('who has answered is let in', () => {
    const { state, effects } = run(asked, { type: 'answer', given: { proof: 'p' } });
    expect(effects).toEqual([{ do: 'createSession', username: null, given: { proof: 'p' } }]);
    const inside = run(state, CREATED);
    expect(inside.state).toMatchObject({ asked: null, creating: null, link: 'connecting' });
  });

  it('is told there what goes wrong, and tries again at will', () => {
    const { state, effects } = run(asked, refusal('unreachable'));
    expect(state.asked).toMatchObject({ trouble: 'unreachable' });
    expect(effects).toEqual([]);
  });

  it('who is not asked is tried for by itself, as ever', () => {
    const { state, effects } = run(initial(), BOOT, refusal('unreachable'));
    expect(state.asked).toBeNull();
    expect(effects).toContainEqual({ do: 'timer', key: 'session', ms: 3000 });
  });

  it('who is not asked anything answers nothing', () => {
    expect(run(connected(), { type: 'answer', given: {} }).effects).toEqual([]);
  });
});

describe('another name', () => {
  const START: Input = { type: 'start', username: 'AmberOtter2734' };
  const asked = run(
    connected(),
    START,
    refusal('proof_required', { username: 'AmberOtter2734', challenge: CHALLENGE }),
  ).state;

  it('costs an answer, and is kept', () => {
    expect(asked).toMatchObject({ creating: 'named', asked: { challenge: CHALLENGE } });
    expect(run(asked, { type: 'answer', given: { proof: 'p' } }).effects).toEqual([
      { do: 'createSession', username: 'AmberOtter2734', given: { proof: 'p' } },
    ]);
  });

  it('may be left at that, and the session is what it was', () => {
    const { state, effects } = run(asked, { type: 'answer', given: null });
    expect(effects).toEqual([]);
    expect(state).toMatchObject({ asked: null, creating: null, token: asked.token });
  });

  it('that is refused is said at the name', () => {
    const { state } = run(asked, refusal('invalid_payload'));
    expect(state).toMatchObject({ asked: null, creating: null, nameTrouble: 'invalid_payload' });
  });
});

it('who was in a conversation when the session ended is asked outside of it', () => {
  const { state } = run(talking(), refusal('age_required'));
  expect(state).toMatchObject({ view: 'start', conversation: null });
});

describe('the next question', () => {
  const house = { ageMinimum: 18, rules: 'v1' };
  const work = { trouble: 'proof_required' } as const;

  it('is age, then rules, then the work', () => {
    expect(question(house, work, {}, false)).toBe('age');
    expect(question({ ...house, ageCheck: true }, work, {}, false)).toBe('age_check');
    expect(question(house, work, { bornOn: '1990-01-01' }, false)).toBe('rules');
    const both = { bornOn: '1990-01-01', rules: 'v1' };
    expect(question(house, work, both, false)).toBe('proof');
    expect(question(house, work, { ...both, proof: 'p' }, false)).toBeNull();
    expect(question(house, work, { ageProof: 'a.b.c', rules: 'v1', proof: 'p' }, false)).toBeNull();
  });

  it('is of those who have a session only what was refused', () => {
    expect(question(house, work, {}, true)).toBe('proof');
    expect(question(house, { trouble: 'rules_required' }, {}, true)).toBe('rules');
    expect(question(house, { trouble: 'age_required' }, {}, true)).toBe('age');
  });

  it('is of rules the newest', () => {
    const given = { bornOn: '1990-01-01', rules: 'v0' };
    expect(question(house, { trouble: 'rules_required' }, given, false)).toBe('rules');
  });

  it('is none for who is under age', () => {
    expect(question(house, { trouble: 'under_age' }, {}, false)).toBe('under_age');
  });
});

it('what was refused is asked again, and no work counts twice', () => {
  const given = { bornOn: 'b', rules: 'r', ageProof: 'a', proof: 'p' };
  const left = (trouble: Refused['trouble']): string[] =>
    Object.keys(remaining(given, { trouble })).sort();
  expect(left('proof_required')).toEqual(['ageProof', 'bornOn', 'rules']);
  expect(left('age_required')).toEqual(['rules']);
  expect(left('invalid_payload')).toEqual(['rules']);
  expect(left('rules_required')).toEqual(['ageProof', 'bornOn']);
  expect(left('proof_invalid')).toEqual(['bornOn', 'rules']);
});

it.each([
  ['2000', '2', '29', '2000-02-29'],
  ['1900', '2', '29', null],
  ['2001', '2', '29', null],
  [' 1990 ', '01', '1', '1990-01-01'],
  ['90', '1', '1', null],
  ['1990', '13', '1', null],
  ['1990', '0', '1', null],
  ['1990', '1', '', null],
  ['1e3', '1', '1', null],
  ['-1', '1', '1', null],
  ['2026', '1', '2', '2026-01-02'],
  ['2026', '1', '3', null],
  ['1896', '1', '1', '1896-01-01'],
  ['1895', '12', '31', null],
])('%s-%s-%s is the day %s', (year, month, day, expected) => {
  expect(dayOf(year, month, day, new Date('2026-01-02T12:00:00Z'))).toBe(expected);
});

it.each([
  ['#state=s&result=of_age&signature=f', 's.of_age.f'],
  ['#result=under_age&signature=f&state=s&more=1', 's.under_age.f'],
  ['#state=s&result=of_age', null],
  ['#state=&result=of_age&signature=f', null],
  ['', null],
])('%s is the answer of a provider: %s', (hash, expected) => {
  expect(ageProofOf(hash)).toBe(expected);
});

it.each([
  ['#privacy', 'privacy'],
  ['#rules', null],
  ['#privacy=1', null],
  ['#', null],
  ['', null],
])('%s is the address of the page %s, of those that there are', (hash, expected) => {
  expect(pageOf(hash, ['privacy', 'contact'])).toBe(expected);
});
