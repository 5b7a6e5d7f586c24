import { describe, expect, it } from 'vitest';
import { stateOf } from './conversation';
import { newsOf } from './news';
import * as given from './samples';
import {
  connected,
  emitted,
  established,
  event,
  linesOf,
  MATCHED,
  message,
  PARTNER,
  resumed,
  ROOM,
  run,
  talking,
  write,
} from './samples';
import { credentials, initial, save, type Input, type State } from './state';
import { step } from './step';

const NEXT: Input = { type: 'next' };
const UNDO: Input = { type: 'undo' };
const DOWN: Input = { type: 'down', retrying: true };
const LATE: Input = { type: 'timer', key: 'undo' };
const KEPT = event('chat:clear:confirmed', { message: '', undo: 5 });
const GONE = event('chat:clear:confirmed', { message: '' });
const PRESSED = event('room:user_left', {
  userId: PARTNER.id,
  username: '',
  message: '',
  undo: 5,
});

function restored(userId: string, changes: Partial<typeof ROOM> = {}): Input {
  const room = { ...ROOM, ...changes };
  return event('room:restored', {
    ...room,
    userId,
    username: '',
    message: '',
    seq: 1,
    partner: PARTNER,
  });
}

const BACK = restored(given.ME);
const REFUSED = event('chat:undo:error', { message: '', code: 'undo_impossible' });

/** In a conversation with a message, and another one that nobody has answered for. */
const before = run(talking(), event('chat:message', message(1)), write('a')).state;
const offered = run(before, NEXT, KEPT).state;

function lineStates({ conversation }: State): string[] {
  return conversation ? linesOf({ conversation }).map((line) => stateOf(conversation, line)) : [];
}

describe('who has pressed Next', () => {
  it('may take it back as long as the server says', () => {
    const left = run(before, NEXT);
    expect(emitted(left.effects)).toEqual([
      ['chat:clear', { undo: true }],
      ['user:match', {}],
    ]);
    expect(left.state.undo).toMatchObject({ seconds: null });
    expect(run(left.state, UNDO).effects).toEqual([]);
    const confirmed = run(left.state, KEPT);
    expect(confirmed.effects).toEqual([{ do: 'timer', key: 'undo', ms: 5000 }]);
    const asked = run(confirmed.state, UNDO);
    const resume = { ...ROOM, seq: 1 };
    expect(emitted(asked.effects)).toEqual([['chat:undo', { resume }]]);
    expect(run(asked.state, UNDO).effects).toEqual([]);
  });

  it('finds the conversation as it was, and what was not sent is sent', () => {
    const back = run(offered, UNDO, BACK);
    expect(back.state).toMatchObject({ view: 'conversation', undo: null, resting: true });
    expect(back.state.conversation?.lines).toBe(before.conversation?.lines);
    expect(emitted(back.effects)).toEqual([]);
    const there = run(back.state, event('room:resumed', resumed({ seq: 1 })));
    expect(emitted(there.effects)).toEqual([
      ['chat:message:delivered', { messageId: 'msg_1' }],
      ['chat:message', { type: 'text', content: 'text a', clientId: 'a' }],
    ]);
  });

  it.each<[string, Input[]]>([
    ['the time is over', [LATE]],
    ['somebody else comes', [event('user:matched', { ...ROOM, epoch: 8, matchedUser: PARTNER })]],
    ['the search is cancelled', [{ type: 'cancel' }]],
    ['the session ends', [event('connection:closing', { code: 'session_ended', message: '' })]],
    ['the server says no', [UNDO, REFUSED]],
  ])('has no way back when %s', (_, inputs) => {
    const { state } = run(offered, ...inputs);
    expect(state.undo).toBeNull();
    expect(emitted(run(state, UNDO).effects)).toEqual([]);
  });

  it('is told calmly when it is too late, and searches on', () => {
    expect(run(offered, UNDO, REFUSED).state).toMatchObject({
      view: 'searching',
      notice: 'undo_impossible',
    });
  });

  it('may press again when it was too fast', () => {
    const fast = event('chat:undo:error', { message: '', code: 'rate_limited', retryAfter: 1 });
    const { state } = run(offered, UNDO, fast);
    expect(state.notice).toBe('rate_limited');
    expect(emitted(run(state, UNDO).effects)).toHaveLength(1);
  });

  it('waits for the answer, though the time is over meanwhile', () => {
    expect(run(offered, UNDO, LATE, BACK).state.view).toBe('conversation');
  });

  it('has nothing to take back where the server keeps nothing, or after the end', () => {
    expect(run(before, NEXT, GONE).state.undo).toBeNull();
    const { state, effects } = run(before, { ...PRESSED }, LATE, NEXT);
    expect(state.undo).toBeNull();
    expect(emitted(effects)).toContainEqual(['user:match', {}]);
    expect(emitted(run(before, { type: 'leave' }).effects)).toEqual([['chat:clear', {}]]);
    expect(run(before, { type: 'leave' }).state.undo).toBeNull();
  });

  it('has its own time, and none that is left of an earlier one', () => {
    const again = event('user:matched', { ...ROOM, epoch: 8, matchedUser: PARTNER });
    const rested: Input = { type: 'timer', key: 'rest' };
    const { effects } = run(offered, again, rested, NEXT);
    expect(effects).toContainEqual({ do: 'timer', key: 'undo', ms: null });
  });

  it('leaves nothing of it behind in the browser', () => {
    expect(JSON.stringify(save(offered))).not.toContain('text 1');
    expect(save(offered)).toMatchObject({ room: null, outbox: [], calls: [] });
  });

  it('turns away from what comes back after all', () => {
    const { state, effects } = run(offered, UNDO, { type: 'cancel' }, BACK);
    expect(emitted(effects)).toEqual([['chat:clear', {}]]);
    expect(state).toMatchObject({ view: 'start', leaving: ROOM });
    expect(run(state, DOWN, established(1)).state.view).toBe('start');
  });

  describe('and loses the connection', () => {
    it('tells the server on the next one, and may take it back then', () => {
      const { state, effects } = run(before, DOWN, NEXT, established(1));
      expect(emitted(effects)).toContainEqual(['chat:clear', { undo: true }]);
      expect(run(state, KEPT).state.undo).toMatchObject({ seconds: 5 });
    });

    it('has no way back when the room is gone meanwhile', () => {
      expect(run(before, NEXT, DOWN, established(false)).state.undo).toBeNull();
      const asked = run(offered, UNDO, DOWN, established(false));
      expect(asked.state).toMatchObject({ undo: null, notice: 'undo_impossible' });
      expect(emitted(asked.effects)).toEqual([['user:match', {}]]);
    });

    it('is back when the server says so on the next one, and asks for what is missing', () => {
      const { state, effects } = run(offered, UNDO, DOWN, established(3));
      expect(state.conversation?.lines).toBe(before.conversation?.lines);
      expect(effects).toContainEqual({ do: 'connect' });
      expect(credentials(state).resume).toEqual({ ...ROOM, seq: 1 });
    });
  });
});

describe('whose partner has pressed Next', () => {
  const waiting = run(before, PRESSED);

  it('hears that they may come back, and for how long', () => {
    expect(waiting.effects).toEqual([{ do: 'timer', key: 'return', ms: 5000 }]);
    expect(waiting.state.conversation).toMatchObject({
      ending: 'left',
      mayReturn: { seconds: 5 },
    });
    const over = run(waiting.state, { type: 'timer', key: 'return' }).state;
    expect(over.conversation).toMatchObject({ ending: 'left', mayReturn: null });
  });

  it('names the conversation in the handshake as long as they may come back', () => {
    expect(credentials(waiting.state).resume).toEqual({ ...ROOM, seq: 1 });
    const over = run(waiting.state, { type: 'timer', key: 'return' }).state;
    expect(credentials(over).resume).toBeUndefined();
  });

  it.each<[string, Input]>([
    ['have gone on', event('room:user_left', { userId: PARTNER.id, username: '', message: '' })],
    [
      'are gone',
      event('chat:cleared', { userId: PARTNER.id, username: '', reason: 'session_ended' }),
    ],
  ])('hears that they %s', (_, input) => {
    expect(run(waiting.state, input).state.conversation?.mayReturn).toBeNull();
  });

  it('goes on where it was when they come back', () => {
    const { state, effects } = run(waiting.state, restored(PARTNER.id));
    expect(state.conversation).toMatchObject({
      ending: null,
      mayReturn: null,
      partnerReturned: true,
    });
    expect(lineStates(state)).toEqual(['received', 'sending']);
    expect(emitted(effects)).toMatchObject([['chat:message', { clientId: 'a' }]]);
    expect(run(state, restored(PARTNER.id)).state).toBe(state);
  });

  it('hears of it while looking elsewhere', () => {
    const [after] = step(waiting.state, restored(PARTNER.id));
    const news = newsOf(waiting.state, restored(PARTNER.id), after);
    expect(news).toEqual({ what: 'matched', name: PARTNER.username });
  });

  it('tells them when nobody waits any more', () => {
    expect(emitted(run(waiting.state, { type: 'leave' }).effects)).toEqual([['chat:clear', {}]]);
    expect(emitted(run(waiting.state, NEXT).effects)).toEqual([
      ['chat:clear', {}],
      ['user:match', {}],
    ]);
  });

  it('searches on when they come back after all', () => {
    const { state, effects } = run(waiting.state, NEXT, restored(PARTNER.id));
    expect(state.view).toBe('searching');
    expect(emitted(effects)).toEqual([
      ['chat:clear', {}],
      ['user:match', {}],
    ]);
  });

  it('finds them back on the next connection', () => {
    const { state, effects } = run(waiting.state, DOWN, established(3));
    expect(state.conversation).toMatchObject({ ending: null, partnerReturned: true });
    expect(lineStates(state)).toEqual(['received', 'sending']);
    expect(effects).toContainEqual({ do: 'connect' });
  });

  it('hears nothing new of another conversation', () => {
    const { state } = run(before, restored(PARTNER.id, { epoch: 1 }));
    expect(state.conversation?.ending).toBeNull();
  });
});

describe('a reload', () => {
  it('forgets the way back', () => {
    const boot: Input = { type: 'boot', saved: save(offered), online: true };
    const { state } = run(initial(), boot, established(false));
    expect(state).toMatchObject({ view: 'searching', undo: null });
    expect(emitted(run(state, UNDO).effects)).toEqual([]);
  });

  it('of who does not search turns away from who comes back', () => {
    expect(emitted(run(connected(), restored(PARTNER.id)).effects)).toEqual([['chat:clear', {}]]);
    expect(run(connected(), { type: 'start', username: 'CalmOtter1000' }, MATCHED).state.undo).toBe(
      null,
    );
  });
});
