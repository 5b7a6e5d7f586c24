import { describe, expect, it } from 'vitest';
import { markable, MOST_MARKED, type Sent } from './report';
import {
  conversation,
  emitted,
  established,
  event,
  MATCHED,
  message,
  PARTNER,
  ROOM,
  run,
  talking,
  write,
} from './samples';
import { connectionOf, initial, type Input } from './state';

const OPEN: Input = { type: 'report', does: 'open' };
const CLOSE: Input = { type: 'report', does: 'close' };
const REPORT: Sent = { reason: 'hate', messages: ['msg_1'], words: 'This', leave: true };
const SEND: Input = { type: 'sendReport', report: REPORT };
const STAY: Input = { type: 'sendReport', report: { ...REPORT, leave: false } };
const TAKEN = { receipt: 'receipt-1', queued: false, hasMessages: true };
const REPORTED = event('safety:reported', TAKEN);
const DOWN: Input = { type: 'down', retrying: true };
const LEFT = event('chat:cleared', { userId: PARTNER.id, reason: 'user_left' } as never);

const before = run(talking(), event('chat:message', message(1)), OPEN).state;
const sending = run(before, SEND);

describe('a report', () => {
  it('is of whom one talks with', () => {
    expect(before.report).toMatchObject({ ...ROOM, at: 'writing', name: PARTNER.username });
    expect(run(initial(), OPEN).state.report).toBeNull();
    expect(run(before, CLOSE).state.report).toBeNull();
  });

  it('is sent as it was written, once', () => {
    expect(emitted(sending.effects)).toEqual([['safety:report', { ...REPORT, epoch: ROOM.epoch }]]);
    expect(run(sending.state, SEND)).toEqual({ state: sending.state, effects: [] });
  });

  it('leaves, when the server has it, without a word more to the server', () => {
    const { state, effects } = run(sending.state, REPORTED);
    expect(emitted(effects)).toEqual([]);
    expect(state).toMatchObject({
      view: 'start',
      conversation: null,
      leaving: null,
      blocked: PARTNER.username,
      ready: true,
      report: { at: 'done', reason: 'hate', ...TAKEN },
    });
    expect(run(state, CLOSE).state.report).toBeNull();
  });

  it('may also leave nothing behind', () => {
    const { state } = run(before, STAY, REPORTED);
    expect(state).toMatchObject({ view: 'conversation', blocked: null, report: { at: 'done' } });
    expect(state.conversation?.ending).toBeNull();
  });

  it('is possible after the end, and then not of anybody else', () => {
    const over = run(talking(), LEFT, OPEN).state;
    expect(over.report).toMatchObject({ at: 'writing' });
    expect(run(over, { type: 'next' }).state.report).toBeNull();
    expect(run(over, { type: 'next' }, MATCHED, SEND).effects).toEqual([]);
    expect(run(over, SEND, REPORTED).state).toMatchObject({
      view: 'start',
      report: { at: 'done' },
    });
  });

  it('keeps what was written when it was refused, and can be tried again', () => {
    const refusal = event('safety:report:error', { message: '', code: 'rate_limited' });
    const { state } = run(sending.state, refusal);
    expect(state.report).toMatchObject({ at: 'writing', sent: REPORT, trouble: 'rate_limited' });
    expect(emitted(run(state, SEND).effects)).toEqual([
      ['safety:report', { ...REPORT, epoch: ROOM.epoch }],
    ]);
  });

  it('does not wait for an answer over a connection that is gone', () => {
    const lost = run(sending.state, DOWN).state;
    expect(connectionOf(lost)).toBe('reconnecting');
    expect(lost.report).toMatchObject({ at: 'writing', sent: REPORT, trouble: 'unreachable' });
    expect(run(before, DOWN, SEND).state.report).toMatchObject({ trouble: 'unreachable' });
    expect(emitted(run(before, DOWN, SEND).effects)).toEqual([]);
  });

  it('shows its receipt though the guest has looked away meanwhile', () => {
    const away = run(sending.state, CLOSE).state;
    expect(away.report).toMatchObject({ at: 'sending', hidden: true });
    expect(run(away, REPORTED).state.report).toMatchObject({ at: 'done', receipt: 'receipt-1' });
  });

  it('ends with a room that the server knows nothing of', () => {
    const elsewhere = event('connection:established', {
      ...(established(0) as { payload: object }).payload,
      room: { ...ROOM, epoch: 8, seq: 0, partner: PARTNER },
    } as never);
    expect(run(before, DOWN, elsewhere).state.report).toBeNull();
  });

  it('is answered for nobody who has made none', () => {
    expect(run(talking(), REPORTED).state.report).toBeNull();
  });
});

describe('what can be marked', () => {
  it('is what the partner has sent, and no more than the server takes', () => {
    const talk = run(talking(), write('a'), event('chat:message', message(1))).state.conversation;
    expect(talk && markable(talk).map(({ id }) => id)).toEqual(['msg_1']);
    const many = Array.from({ length: MOST_MARKED + 5 }, (_, index) =>
      event('chat:message', message(index + 1)),
    );
    const long = run(talking(), ...many).state.conversation;
    const ids = markable(long ?? conversation()).map(({ id }) => id);
    expect([ids.length, ids[0]]).toEqual([MOST_MARKED, 'msg_6']);
  });
});
