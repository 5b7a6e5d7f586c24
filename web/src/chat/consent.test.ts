import { describe, expect, it } from 'vitest';
import { mayHelp, stepOf } from './consent';
import { stateOf } from './conversation';
import {
  connected,
  emitted,
  established,
  event,
  fileInfo,
  LIMITS,
  linesOf,
  PARTNER,
  resumed,
  run,
  talking,
  write,
} from './samples';
import { initial, type Input, type State } from './state';

const ABOUT = { userId: PARTNER.id, username: PARTNER.username } as const;
const asks = (step: 'links' | 'video') => event('consent:ask', { ...ABOUT, step });
const waits = event('consent:waiting', { step: 'links', clientId: 'a' });
const SENT = event('chat:message:sent', {
  messageId: 'msg_1',
  timestamp: '2026-01-01T10:00:00.000Z',
  status: 'sent',
  seq: 1,
  clientId: 'a',
});
const statesOf = (state: State): string[] =>
  linesOf(state).map((line) => stateOf({ delivered: 0 }, line));

describe('what the partner asks for', () => {
  const asked = run(talking(), asks('links'), asks('video'), asks('links')).state;

  it('is kept once, until it is answered', () => {
    expect(asked.conversation?.asked).toEqual(['video', 'links']);
    const { state, effects } = run(asked, { type: 'consent', step: 'links', allowed: true });
    expect(state.conversation).toMatchObject({ asked: ['video'], answers: { links: true } });
    expect(emitted(effects)).toEqual([
      ['consent:answer', { step: 'links', allowed: true, userId: PARTNER.id }],
    ]);
  });

  it('is gone when they do not want it any more', () => {
    const gone = run(asked, event('consent:withdrawn', { ...ABOUT, step: 'video' })).state;
    expect(gone.conversation?.asked).toEqual(['links']);
  });

  it('is told again after a reconnection, and only that is left', () => {
    const back = run(asked, { type: 'down', retrying: true }, established(0), asks('video')).state;
    expect(back.conversation?.asked).toEqual(['video']);
  });

  it('cannot be answered without a connection', () => {
    const { state, effects } = run(
      asked,
      { type: 'down', retrying: true },
      { type: 'consent', step: 'links', allowed: true },
    );
    expect(state.conversation?.asked).toEqual(['video', 'links']);
    expect(emitted(effects)).toEqual([]);
  });
});

describe('what the partner is asked for', () => {
  const waiting = run(talking(), write('a'), waits).state;

  it('is shown as waiting, and then as sent', () => {
    expect(statesOf(waiting)).toEqual(['asking']);
    expect(statesOf(run(waiting, SENT).state)).toEqual(['sent']);
  });

  it('is sent again after a reconnection, as all that is not acknowledged', () => {
    const { effects } = run(
      waiting,
      { type: 'down', retrying: true },
      established(0),
      event('room:resumed', resumed({ seq: 0 })),
    );
    expect(emitted(effects)).toMatchObject([['chat:message', { clientId: 'a' }]]);
  });

  it('is refused when they do not want it now', () => {
    const refusal = { message: '', code: 'consent_declined', clientId: 'a' } as const;
    expect(linesOf(run(waiting, event('chat:error', refusal)).state)[0]).toMatchObject({
      refused: 'consent_declined',
      asking: false,
    });
  });
});

describe('why something was refused', () => {
  const told = (code: string, retryAfter?: number): Input =>
    event('chat:error', { message: '', clientId: 'a', code, retryAfter } as never);
  const line = (input: Input) => linesOf(run(talking(), write('a'), input).state)[0];

  it.each([
    ['text', 'Look: https://www.example/', 'links'],
    ['voice', fileInfo({ fileTypeCategory: 'audio' }), 'voice'],
    ['file', fileInfo(), 'pictures'],
    ['file', fileInfo({ fileTypeCategory: 'document' }), 'files'],
    ['file', { nothing: true }, 'files'],
  ] as const)('%s is of the step %3$s', (type, content, step) => {
    expect(stepOf({ type, content })).toBe(step);
  });

  it.each([
    ['consent_declined', undefined, true],
    ['new_device', 90, true],
    ['repeated_message', 30, true],
    ['message_held', undefined, false],
    ['message_held', 10, true],
    ['step_closed', undefined, false],
    ['text_too_long', undefined, false],
  ])('%s, in %s s: to try again helps: %s', (code, seconds, helps) => {
    const refused = line(told(code, seconds));
    expect(refused?.again).toEqual(seconds === undefined ? null : { seconds });
    expect(refused && mayHelp(refused)).toBe(helps);
  });

  it('is forgotten when it is tried again', () => {
    const refused = run(talking(), write('a'), told('new_device', 90)).state;
    const { state, effects } = run(refused, { type: 'retry', clientId: 'a' });
    expect(linesOf(state)[0]).toMatchObject({ refused: null, again: null });
    expect(emitted(effects)).toMatchObject([['chat:message', { clientId: 'a' }]]);
  });
});

describe('what everybody may send', () => {
  const asks = { ...LIMITS, consent: ['links', 'pictures'] as const };
  const there = event('connection:established', {
    ...(established(false) as { payload: object }).payload,
    limits: asks,
  } as never);
  const before = run(connected(), there).state;
  const choose = (...steps: ('links' | 'voice')[]): Input => ({ type: 'openTo', steps });

  it('is told at once, and after each connection, as far as the server asks for it', () => {
    const { state, effects } = run(before, choose('links', 'voice'));
    expect(emitted(effects)).toEqual([['consent:open', { steps: ['links'] }]]);
    const back = run(state, { type: 'down', retrying: true }, there).effects;
    expect(emitted(back)).toEqual([['consent:open', { steps: ['links'] }]]);
    expect(emitted(run(state, choose()).effects)).toEqual([['consent:open', { steps: [] }]]);
  });

  it('is known from the last time, and told to no server that asks for nothing', () => {
    const kept = { ...before, open: initial(undefined, ['links']).open };
    expect(emitted(run(kept, there).effects)).toEqual([['consent:open', { steps: ['links'] }]]);
    expect(emitted(run(kept, established(false)).effects)).toEqual([]);
    expect(emitted(run(before, there).effects)).toEqual([]);
  });

  it('is not asked for any more', () => {
    const asked = run(talking(), event('consent:ask', { ...ABOUT, step: 'links' })).state;
    const open = run(asked, choose('links')).state;
    expect(open.conversation?.asked).toEqual([]);
    expect(run(open, event('consent:ask', { ...ABOUT, step: 'links' })).state).toBe(open);
    const other = run(open, event('consent:ask', { ...ABOUT, step: 'video' })).state;
    expect(other.conversation?.asked).toEqual(['video']);
  });

  it('waits for the connection', () => {
    const down = run(before, { type: 'down', retrying: true }, choose('links'));
    expect(emitted(down.effects)).toEqual([]);
    expect(down.state.open).toEqual(['links']);
  });
});
