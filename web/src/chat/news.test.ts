import { describe, expect, it } from 'vitest';
import { newsOf, type News } from './news';
import * as given from './samples';
import { connected, established, event, MATCHED, message, resumed, run, talking } from './samples';
import { initial, save, type Input, type State } from './state';
import { step } from './step';

const START: Input = { type: 'start', username: 'CalmOtter1000' };
const DOWN: Input = { type: 'down', retrying: true };
const LEFT = event('room:user_left', { userId: 'guest_them', username: '', message: '' });
const FIRST = event('chat:message', message(1));

/** What of each input was news. */
function newsFrom(from: State, ...inputs: Input[]): (News['what'] | null)[] {
  let state = from;
  return inputs.map((input) => {
    const before = state;
    [state] = step(before, input);
    return newsOf(before, input, state)?.what ?? null;
  });
}

describe('news', () => {
  it('are a match, a message and the end, and whose they are', () => {
    expect(newsFrom(connected(), START, MATCHED, FIRST, LEFT)).toEqual([
      null,
      'matched',
      'message',
      'ended',
    ]);
    const { state } = run(connected(), START);
    const [after] = step(state, MATCHED);
    expect(newsOf(state, MATCHED, after)?.name).toBe(given.PARTNER.username);
  });

  it('are a question too, once for each thing that is asked for', () => {
    const asks = (step: 'links' | 'voice'): Input =>
      event('consent:ask', { userId: 'guest_them', username: '', step });
    const inputs = [asks('links'), asks('links'), asks('voice')];
    expect(newsFrom(talking(), ...inputs)).toEqual(['asked', null, 'asked']);
  });

  it('are told once, and not of the own', () => {
    const own = event('chat:message', message(2, { senderId: given.ME }));
    expect(newsFrom(talking(), FIRST, FIRST, own, LEFT, LEFT)).toEqual([
      'message',
      null,
      null,
      'ended',
      null,
    ]);
    expect(newsFrom(talking(), { type: 'leave' })).toEqual([null]);
  });

  it('come late after a lost connection, and are old after a reload', () => {
    const back = [established(1), event('room:resumed', resumed({ seq: 1 })), FIRST];
    expect(newsFrom(talking(), DOWN, ...back).at(-1)).toBe('message');
    const boot: Input = { type: 'boot', saved: save(talking()), online: true };
    const fresh = run(initial(), boot).state;
    const next = event('chat:message', message(2));
    expect(newsFrom(fresh, ...back, next).slice(-2)).toEqual([null, 'message']);
  });

  it('are a match that was made while the connection was lost', () => {
    expect(newsFrom(connected(), START, DOWN, established(true)).at(-1)).toBe('matched');
  });
});
