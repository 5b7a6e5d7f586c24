import { describe, expect, it } from 'vitest';
import type { ChatError, Code, MatchError } from '../wire/types';
import { stateOf } from './conversation';
import { NO_LINES } from './lines';
import * as given from './samples';
import {
  connected,
  emitted,
  established,
  event,
  linesOf,
  MATCHED,
  run,
  talking,
  write,
} from './samples';
import { connectionOf, credentials, initial, save, type Input, type State } from './state';

function refused(code: Code | null, retryAfter: number | null = null): Input {
  return { type: 'refused', code, retryAfter };
}

const DOWN: Input = { type: 'down', retrying: true };
const START: Input = { type: 'start', username: 'CalmOtter1000' };

function sent(clientId: string, seq: number): Input {
  const timestamp = '2026-01-02T03:04:06.000Z';
  return event('chat:message:sent', {
    messageId: `msg_${seq}`,
    timestamp,
    status: 'sent',
    seq,
    clientId,
  });
}

function lineStates({ conversation }: State): string[] {
  return conversation ? linesOf({ conversation }).map((line) => stateOf(conversation, line)) : [];
}

function reloaded(state: State): State {
  return run(initial(), { type: 'boot', saved: save(state), online: true }).state;
}

describe('the session', () => {
  it('is made when the page opens', () => {
    const boot = run(initial(), { type: 'boot', saved: null, online: true });
    expect(boot.effects).toEqual([{ do: 'createSession', username: null }]);
    expect(run(boot.state, given.CREATED).effects).toContainEqual({ do: 'connect' });
  });

  it('is made anew for another name, and the old one ended', () => {
    const { state, effects } = run(connected(), { type: 'start', username: 'Somebody' });
    expect(effects).toEqual([{ do: 'createSession', username: 'Somebody' }]);
    const made = run(state, given.CREATED);
    expect(made.effects).toEqual([
      { do: 'disconnect' },
      { do: 'endSession', token: 'token-1' },
      { do: 'connect' },
    ]);
    expect(made.state.view).toBe('searching');
    expect(emitted(run(made.state, established(false)).effects)).toEqual([['user:match', {}]]);
  });

  it('stays when the name is refused', () => {
    const trouble = 'invalid_payload';
    const failed: Input = { type: 'sessionFailed', trouble, retryAfter: null };
    const { state } = run(connected(), { type: 'start', username: 'Somebody' }, failed);
    expect(state).toMatchObject({ view: 'start', nameTrouble: trouble, token: 'token-1' });
  });

  it.each<Code>(['token_required', 'token_expired', 'token_invalid', 'session_not_found'])(
    'becomes a new one after %s',
    (code) => {
      const { state, effects } = run(connected(), DOWN, refused(code));
      expect(effects).toContainEqual({ do: 'createSession', username: 'CalmOtter1000' });
      expect(state.notice).toBe('session_anew');
      const again = run(state, given.CREATED, established(false)).state;
      expect(again).toMatchObject({ view: 'start', link: 'connected' });
    },
  );

  it.each<[Code | null, number | null, number]>([
    ['rate_limited', 7.5, 7500],
    ['internal', null, 2000],
    ['unavailable', 2, 2000],
    ['unavailable', 30, 30_000],
    ['something_new' as Code, null, 2000],
    [null, null, 2000],
  ])('goes on after %s, retryAfter %j: in %i ms', (code, retryAfter, ms) => {
    const { state, effects } = run(connected(), DOWN, refused(code, retryAfter));
    expect(state).toMatchObject({ token: 'token-1', link: 'reconnecting' });
    expect(effects).toEqual([{ do: 'timer', key: 'reconnect', ms }]);
  });

  it('that expires ends the conversation and leaves a way on', () => {
    const { state } = run(talking(), DOWN, refused('token_expired'));
    expect(state).toMatchObject({ view: 'conversation', conversation: { ending: 'expired' } });
    const next = run(state, given.CREATED, established(false), { type: 'next' });
    expect(emitted(next.effects)).toEqual([['user:match', {}]]);
  });

  it('takes the renewed token', () => {
    const renewed = event('session:renewed', { token: 'token-2', expiresAt: '' });
    expect(credentials(run(connected(), renewed).state).token).toBe('token-2');
  });

  it('waits as long as the server asks', () => {
    const boot = run(initial(), { type: 'boot', saved: null, online: true }).state;
    const trouble = 'rate_limited';
    const { effects } = run(boot, { type: 'sessionFailed', trouble, retryAfter: 7 });
    expect(effects).toEqual([{ do: 'timer', key: 'session', ms: 7000 }]);
  });
});

describe('the search', () => {
  it('begins, says when nobody is there, and ends in a conversation', () => {
    const searching = run(connected(), START);
    expect(emitted(searching.effects)).toEqual([['user:match', {}]]);
    const nobody = run(searching.state, event('user:match:no_users', { message: '' })).state;
    expect(nobody.nobodyYet).toBe(true);
    expect(run(nobody, MATCHED).state).toMatchObject({
      view: 'conversation',
      conversation: { partner: given.PARTNER, lines: NO_LINES },
    });
  });

  it('is asked for again on a new connection', () => {
    const { effects } = run(connected(), START, DOWN, established(false));
    expect(emitted(effects)).toEqual([['user:match', {}]]);
  });

  it('that crosses with a cancel is left at once', () => {
    const { state, effects } = run(connected(), START, { type: 'cancel' }, MATCHED);
    expect(emitted(effects)).toEqual([['chat:clear', {}]]);
    expect(state.view).toBe('start');
  });

  it('that is over the limit goes on when the pause is over', () => {
    const limited: MatchError = { message: '', code: 'rate_limited', retryAfter: 2.5 };
    const { state, effects } = run(connected(), START, event('user:match:error', limited));
    expect(state.view).toBe('searching');
    expect(effects).toEqual([{ do: 'timer', key: 'search', ms: 2500 }]);
    expect(emitted(run(state, { type: 'timer', key: 'search' }).effects)).toEqual([
      ['user:match', {}],
    ]);
  });
});

describe('a conversation', () => {
  it('confirms what it receives', () => {
    const { effects } = run(talking(), event('chat:message', given.message(1)));
    expect(emitted(effects)).toEqual([['chat:message:delivered', { messageId: 'msg_1' }]]);
  });

  it('keeps what is written without a connection and sends it in order', () => {
    const away = run(talking(), write('a'), DOWN, write('b'), write('c'));
    expect(away.effects).toEqual([]);
    const back = run(away.state, established(true));
    expect(back.effects).toEqual([]);
    const { effects } = run(back.state, event('room:resumed', given.resumed()));
    expect(
      emitted(effects).map(([, payload]) => (payload as { clientId: string }).clientId),
    ).toEqual(['a', 'b', 'c']);
  });

  it('does not send again what the replay shows to have arrived', () => {
    const own = given.message(1, { senderId: given.ME, clientId: 'a' });
    const { state } = run(
      run(talking(), write('a'), DOWN, established(1)).state,
      event('room:resumed', given.resumed({ seq: 1 })),
      event('chat:message', own),
    );
    expect(lineStates(state)).toEqual(['sent']);
    const { effects } = run(
      state,
      DOWN,
      established(1),
      event('room:resumed', given.resumed({ seq: 1 })),
    );
    expect(emitted(effects)).toEqual([]);
  });

  it('resumes from the last message without a hole before it', () => {
    const { state } = run(
      talking(),
      event('chat:message', given.message(1)),
      write('a'),
      sent('a', 2),
    );
    expect(credentials(state).resume).toEqual({ ...given.ROOM, seq: 2 });
  });

  describe('over the limit', () => {
    const limited: ChatError = {
      message: '',
      code: 'rate_limited',
      retryAfter: 1,
      clientId: 'a',
    };
    const held = run(talking(), write('a'), event('chat:error', limited), write('b'));

    it('pauses, then sends one message after the other', () => {
      expect(run(talking(), write('a'), event('chat:error', limited)).effects).toEqual([
        { do: 'timer', key: 'outbox', ms: 1000 },
      ]);
      expect(held.effects).toEqual([]);
      expect(lineStates(held.state)).toEqual(['sending', 'sending']);
      const first = run(held.state, { type: 'timer', key: 'outbox' });
      expect(emitted(first.effects)).toMatchObject([['chat:message', { clientId: 'a' }]]);
      const turn = run(first.state, sent('a', 1));
      expect(turn.effects).toEqual([{ do: 'timer', key: 'outbox', ms: 1000 }]);
      const second = run(turn.state, { type: 'timer', key: 'outbox' });
      expect(emitted(second.effects)).toMatchObject([['chat:message', { clientId: 'b' }]]);
      expect(run(second.state, sent('b', 2)).state.pause).toBeNull();
    });

    it('waits longer when it was not enough, but not for each message of a burst', () => {
      const burst = event('chat:error', { ...limited, clientId: 'b' });
      expect(run(held.state, burst).effects).toEqual([]);
      const again = run(held.state, { type: 'timer', key: 'outbox' }, event('chat:error', limited));
      expect(again.effects).toEqual([{ do: 'timer', key: 'outbox', ms: 1500 }]);
    });

    it('goes on with the first message on a new connection', () => {
      const back = run(held.state, DOWN, established(true), event('room:resumed', given.resumed()));
      expect(emitted(back.effects)).toMatchObject([['chat:message', { clientId: 'a' }]]);
    });
  });

  it('shows a refused message and sends it again when asked', () => {
    const refusal: ChatError = { message: 'too long', code: 'text_too_long', clientId: 'a' };
    const { state } = run(talking(), write('a'), event('chat:error', refusal));
    expect(lineStates(state)).toEqual(['failed']);
    expect(linesOf(state)[0]?.refused).toBe('text_too_long');
    const again = run(state, { type: 'retry', clientId: 'a' });
    expect(lineStates(again.state)).toEqual(['sending']);
    expect(emitted(again.effects)).toHaveLength(1);
  });

  it('asks the server where we are when it says that we are in no room', () => {
    const lost: ChatError = { message: '', code: 'not_in_room', clientId: 'a' };
    const { state, effects } = run(talking(), write('a'), event('chat:error', lost));
    expect(effects).toEqual([{ do: 'connect' }]);
    expect(run(state, established(false)).state.conversation?.ending).toBe('away');
  });

  it('does not care for a message of an earlier conversation, which is over', () => {
    const late: ChatError = { message: '', code: 'not_in_room', clientId: 'earlier' };
    const { state, effects } = run(talking(), write('a'), event('chat:error', late));
    expect(effects).toEqual([]);
    expect(lineStates(state)).toEqual(['sending']);
  });

  it('shows that the partner types, and forgets it after a while', () => {
    const typing = event('chat:typing:start', { userId: 'guest_them', username: '' });
    const { state, effects } = run(talking(), typing);
    expect(state.conversation?.partnerTyping).toBe(true);
    expect(effects).toMatchObject([{ do: 'timer', key: 'typing' }]);
    const later = run(state, { type: 'timer', key: 'typing' }).state;
    expect(later.conversation?.partnerTyping).toBe(false);
  });

  it.each([
    ['user_left', 'left'],
    ['session_ended', 'session_ended'],
  ] as const)('ends with the reason that the server gives: %s', (reason, ending) => {
    const left = event('room:user_left', { userId: 'guest_them', username: '', message: '' });
    const cleared = event('chat:cleared', { userId: 'guest_them', username: '', reason });
    expect(run(talking(), left).state.conversation?.ending).toBe('left');
    expect(run(talking(), left, cleared).state.conversation?.ending).toBe(ending);
  });

  it('ends in words, and our guess gives way to what the server knows', () => {
    const lost = run(talking(), DOWN, established(false)).state;
    expect(lost.conversation?.ending).toBe('away');
    const closed = event('room:closed', {
      userId: 'guest_them',
      username: '',
      message: '',
      reason: 'user_disconnected',
      undelivered: [],
    });
    const told = run(lost, closed).state;
    expect(told.conversation?.ending).toBe('disconnected');
    const left = event('room:user_left', { userId: 'guest_them', username: '', message: '' });
    expect(run(told, left).state.conversation?.ending).toBe('disconnected');
  });
});

describe('next and leave', () => {
  it('leave, then search', () => {
    const { state, effects } = run(talking(), { type: 'next' });
    expect(emitted(effects)).toEqual([
      ['chat:clear', { undo: true }],
      ['user:match', {}],
    ]);
    expect(state).toMatchObject({ view: 'searching', conversation: null });
  });

  it('without a connection are told to the server on the next one', () => {
    const { effects, state } = run(talking(), DOWN, { type: 'next' }, established(true));
    expect(emitted(effects)).toEqual([
      ['chat:clear', { undo: true }],
      ['user:match', {}],
    ]);
    expect(state.view).toBe('searching');
  });

  it('do not hear the old partner any more', () => {
    const left = event('room:user_left', { userId: 'guest_them', username: '', message: '' });
    const { state } = run(
      talking(),
      { type: 'next' },
      left,
      event('chat:message', given.message(1)),
    );
    expect(state).toMatchObject({ view: 'searching', conversation: null });
  });
});

describe('who has just met', () => {
  const met = run(connected(), START, MATCHED);
  const left = event('room:user_left', { userId: 'guest_them', username: '', message: '' });

  it('stays for a second, whatever was pressed', () => {
    expect(met.effects).toEqual([{ do: 'timer', key: 'rest', ms: 1000 }]);
    for (const type of ['next', 'leave'] as const) {
      const { state, effects } = run(met.state, { type });
      expect(effects).toEqual([]);
      expect(state.conversation?.partner).toEqual(given.PARTNER);
      const later = run(met.state, { type: 'timer', key: 'rest' }, { type });
      expect(later.state.conversation).toBeNull();
    }
  });

  it('need not wait for somebody new where the other has gone', () => {
    const { state } = run(met.state, left);
    expect(run(state, { type: 'next' }).state.view).toBe('searching');
    // It stands where Next was.
    expect(run(state, { type: 'leave' }).state.view).toBe('conversation');
  });

  it('may have met while the connection was lost, but not before a reload', () => {
    const found = run(connected(), START, DOWN, established(true));
    expect(found.state.resting).toBe(true);
    expect(found.effects).toContainEqual({ do: 'timer', key: 'rest', ms: 1000 });
    const back = run(reloaded(talking()), established(true));
    expect(back.state.resting).toBe(false);
  });
});

describe('where the guest lives', () => {
  const moved = event('user:matched', { ...given.ROOM, matchedUser: given.PARTNER, at: 'node_2' });
  const home = run(connected(), established(false, 'node_1')).state;

  it('is what the server said last, if it said so', () => {
    expect(connected().home).toBeNull();
    expect(home.home).toBe('node_1');
    expect(run(home, START, moved).state.home).toBe('node_2');
    expect(run(home, START, { type: 'cancel' }, moved).state.home).toBe('node_2');
    expect(run(home, DOWN).state.home).toBe('node_1');
    expect(run(home, established(false)).state.home).toBeNull();
  });

  it('outlives a reload', () => {
    expect(reloaded(run(home, START, moved).state).home).toBe('node_2');
  });

  it('is unknown to a page that finds what an older client has left behind', () => {
    const saved = save(talking());
    delete saved?.home;
    const { state } = run(initial(), { type: 'boot', saved, online: true });
    expect(state).toMatchObject({ view: 'conversation', home: null });
  });

  it.each<[string, Input[]]>([
    ['ended', [DOWN, refused('session_not_found')]],
    ['replaced', [{ type: 'start', username: 'Somebody' }, given.CREATED]],
  ])('is forgotten with a session that is %s', (_, inputs) => {
    expect(run(home, ...inputs).state.home).toBeNull();
  });
});

describe('a reload', () => {
  it('brings the conversation back, with what was not yet sent', () => {
    const before = run(talking(), write('a'), sent('a', 1), DOWN, write('b')).state;
    const fresh = reloaded(before);
    expect(fresh).toMatchObject({ view: 'conversation', conversation: { restoring: true } });
    const resume = { ...given.ROOM, seq: 0, reloaded: true };
    expect(credentials(fresh)).toEqual({ token: 'token-1', features: ['undo', 'consent'], resume });
    const back = run(fresh, established(1), event('room:resumed', given.resumed({ seq: 1 })));
    expect(emitted(back.effects)).toMatchObject([['chat:message', { clientId: 'b' }]]);
    const own = given.message(1, { senderId: given.ME, clientId: 'a' });
    const { state } = run(back.state, event('chat:message', own));
    expect(linesOf(state).map((line) => line.key)).toEqual(['a', 'b']);
    expect(state.conversation?.restoring).toBe(false);
  });

  it('of a search searches on', () => {
    const fresh = reloaded(run(connected(), START).state);
    expect(emitted(run(fresh, established(false)).effects)).toEqual([['user:match', {}]]);
  });

  it('with a session that is gone says what became of the conversation', () => {
    const { state } = run(reloaded(talking()), refused('token_invalid'));
    expect(state).toMatchObject({ view: 'conversation', conversation: { ending: 'expired' } });
  });

  it('after the end starts at the start', () => {
    const left = event('room:user_left', { userId: 'guest_them', username: '', message: '' });
    expect(reloaded(run(talking(), left).state).view).toBe('start');
  });
});

describe('the connection', () => {
  it('that another tab has taken comes back only when asked', () => {
    const closing = event('connection:closing', { code: 'replaced', message: '' });
    const { state, effects } = run(talking(), closing);
    expect(effects).toEqual([{ do: 'disconnect' }]);
    expect(run(state, DOWN).state.link).toBe('stopped');
    const here = run(state, { type: 'reconnect' });
    expect(here.effects).toEqual([{ do: 'connect' }]);
    expect(run(here.state, established(true)).state).toMatchObject({
      stopped: null,
      view: 'conversation',
    });
  });

  it('finds a room that another tab opened and asks for all of it', () => {
    const { state, effects } = run(connected(), DOWN, established(4));
    expect(state.view).toBe('conversation');
    expect(effects).toContainEqual({ do: 'connect' });
    expect(credentials(state).resume).toEqual({ ...given.ROOM, seq: 0 });
  });

  it('begins anew when the session was ended elsewhere', () => {
    const closing = event('connection:closing', { code: 'session_ended', message: '' });
    expect(run(connected(), closing).effects).toContainEqual({
      do: 'createSession',
      username: 'CalmOtter1000',
    });
  });

  describe('of a server that stops', () => {
    const told = { closesIn: 8, returnIn: 14, kept: true };
    const closing = event('connection:closing', {
      code: 'server_shutting_down',
      message: '',
      ...told,
    });
    const over: Input = { type: 'timer', key: 'stopping' };
    const comeBack: Input = { type: 'timer', key: 'comeBack' };

    it('goes on until then, and comes back when it was asked to', () => {
      const { state, effects } = run(talking(), closing);
      expect(effects).toEqual([
        { do: 'timer', key: 'stopping', ms: 8000 },
        { do: 'timer', key: 'comeBack', ms: 14_000 },
      ]);
      expect(state).toMatchObject({
        link: 'connected',
        ready: true,
        stopping: { told, over: false },
      });
      expect(emitted(run(state, write('goodbye')).effects)).toMatchObject([['chat:message', {}]]);
      const gone = run(state, over, DOWN);
      expect(gone.effects).toEqual([{ do: 'disconnect' }]);
      expect(gone.state).toMatchObject({ link: 'reconnecting', stopping: { told, over: true } });
      const back = run(gone.state, comeBack);
      expect(back.effects).toEqual([{ do: 'connect' }]);
      expect(back.state.stopping).toBeNull();
      expect(run(back.state, established(true)).state).toMatchObject({ view: 'conversation' });
    });

    it('is closed a moment before or after the clock here says so', () => {
      const early = run(talking(), closing, DOWN);
      expect(early.effects.filter((effect) => effect.do !== 'timer')).toEqual([]);
      expect(run(early.state, over).effects).toEqual([{ do: 'disconnect' }]);
    });

    it('is found again at once when only the network broke', () => {
      const again = run(talking(), closing, DOWN, established(true));
      expect(again.state.stopping).toBeNull();
      expect(run(again.state, comeBack).effects).toEqual([]);
      expect(
        run(again.state, closing, over, established(true), comeBack).effects,
      ).not.toContainEqual({
        do: 'connect',
      });
    });
  });

  it('is retried by us when the server closed it without a reason to stay away', () => {
    const { state, effects } = run(connected(), { type: 'down', retrying: false });
    expect(effects).toMatchObject([{ do: 'timer', key: 'reconnect' }]);
    expect(run(state, { type: 'timer', key: 'reconnect' }).effects).toEqual([{ do: 'connect' }]);
  });

  it('has a word for every state', () => {
    const lost = run(connected(), DOWN).state;
    expect(connectionOf(connected())).toBe('connected');
    expect(connectionOf(lost)).toBe('reconnecting');
    expect(connectionOf(run(lost, { type: 'online', online: false }).state)).toBe('offline');
    expect(run(lost, { type: 'online', online: true }).effects).toEqual([{ do: 'connect' }]);
  });
});

describe('a call that is over', () => {
  const record = { kind: 'audio', outgoing: true, outcome: 'talked', seconds: 61 } as const;
  const called: Input = { type: 'called', record, at: '2026-01-02T03:04:07.000Z' };

  it('is a line after the messages that were there, also after a reload', () => {
    const { state } = run(talking(), write('a'), sent('a', 1), called, write('b'), sent('b', 2));
    expect(state.conversation?.calls).toMatchObject([{ ...record, after: 1 }]);
    expect(reloaded(state).conversation?.calls).toEqual(state.conversation?.calls);
  });

  it('is forgotten with its conversation', () => {
    expect(run(talking(), called, { type: 'next' }, MATCHED).state.conversation?.calls).toEqual([]);
    expect(run(connected(), called).state.conversation).toBeNull();
  });
});
