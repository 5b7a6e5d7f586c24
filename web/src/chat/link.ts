/** The session and its connection: how they begin, break, and come back. */
import type { Code, ConnectionClosing, ConnectionEstablished, GuestCreated } from '../wire/types';
import { ask, clear } from './actions';
import { enter, talkIn } from './events';
import { sameRoom, type Conversation, type Room } from './conversation';
import * as talk from './exchange';
import { opening } from './consent';
import { asked, asks, type Refused } from './newcomer';
import { barred, endedBefore } from './sanction';
import type { Effect, Input, Saved, State, Step } from './state';
import { restore } from './state';

const RECONNECT_MS = 2000;
const SESSION_RETRY_MS = 3000;

/** Refusals that only a new session can answer. */
const SESSION_GONE = new Set<Code | null>([
  'token_required',
  'token_expired',
  'token_invalid',
  'session_not_found',
]);

/** Closings after which to come back by itself would do harm: two tabs fighting over one guest, or a flood. */
const STAY_AWAY = new Set<Code>(['replaced', 'rate_limited']);

export function boot(state: State, saved: Saved | null, online: boolean): Step {
  if (saved?.ended) return [{ ...restore(saved, state), online, link: 'stopped' }, []];
  if (saved) return [{ ...restore(saved, state), online }, [{ do: 'connect' }]];
  return [{ ...state, online, creating: 'first' }, [{ do: 'createSession', username: null }]];
}

export function sessionCreated(before: State, { token, user, ended }: GuestCreated): Step {
  const state = endedBefore(before, ended);
  const effects: Effect[] = [{ do: 'disconnect' }];
  const named = state.creating === 'named';
  if (named && state.token !== null) effects.push({ do: 'endSession', token: state.token });
  return [
    {
      ...state,
      view: named ? 'searching' : state.view,
      token,
      me: { id: user.id, username: user.username },
      home: null,
      creating: null,
      link: 'connecting',
      ready: false,
      nobodyYet: false,
      leaving: null,
      former: null,
      barred: null,
      asked: null,
    },
    [...effects, { do: 'connect' }],
  ];
}

export function sessionFailed(state: State, refused: Refused): Step {
  const { trouble, retryAfter, ban } = refused;
  if (ban) return barred(state, { kind: 'banned', ...ban });
  if (asks(state, refused)) return asked(state, refused);
  if (state.creating === 'named') {
    return [{ ...state, creating: null, asked: null, nameTrouble: trouble }, []];
  }
  const ms = retryAfter === null ? SESSION_RETRY_MS : retryAfter * 1000;
  return [
    { ...state, notice: trouble === 'unreachable' ? state.notice : trouble },
    [{ do: 'timer', key: 'session', ms }],
  ];
}

/** The session is gone: make another with the same name, and say so in one line. */
function anew(state: State): Step {
  const { conversation, me } = state;
  const over =
    conversation && !conversation.ending ? talk.ended(conversation, 'expired') : conversation;
  return [
    {
      ...state,
      token: null,
      former: state.token,
      home: null,
      creating: 'expired',
      link: 'connecting',
      ready: false,
      conversation: over,
      undo: null,
      leaving: null,
      notice: over ? null : 'session_anew',
    },
    [{ do: 'disconnect' }, { do: 'createSession', username: me?.username ?? null }],
  ];
}

export function refused(
  state: State,
  { code, retryAfter, ban }: Input & { type: 'refused' },
): Step {
  if (ban) return barred(state, { kind: 'banned', ...ban });
  if (SESSION_GONE.has(code)) return anew(state);
  const ms = Math.max(RECONNECT_MS, (retryAfter ?? 0) * 1000);
  return [{ ...state, link: 'reconnecting' }, [{ do: 'timer', key: 'reconnect', ms }]];
}

export function closing(state: State, event: ConnectionClosing): Step {
  const { code, closesIn, returnIn, kept = false } = event;
  // Why was told before.
  if (state.barred) return [state, []];
  if (closesIn !== undefined && returnIn !== undefined) {
    return [
      { ...state, stopping: { told: { closesIn, returnIn, kept }, over: false } },
      [
        { do: 'timer', key: 'stopping', ms: closesIn * 1000 },
        { do: 'timer', key: 'comeBack', ms: returnIn * 1000 },
      ],
    ];
  }
  if (code === 'session_ended') return anew(state);
  if (!STAY_AWAY.has(code)) return [{ ...state, notice: code }, []];
  return [{ ...state, link: 'stopped', ready: false, stopped: code }, [{ do: 'disconnect' }]];
}

export function down(state: State, retrying: boolean): Step {
  if (state.link === 'stopped' || state.creating === 'expired') return [state, []];
  const { conversation, stopping } = state;
  const quiet = conversation && { ...conversation, partnerTyping: false };
  return [
    { ...state, link: 'reconnecting', ready: false, conversation: quiet },
    stopping?.over
      ? [{ do: 'disconnect' }] // not before it asks for it: all would come at once
      : retrying
        ? []
        : [{ do: 'timer', key: 'reconnect', ms: RECONNECT_MS }],
  ];
}

/** The server closes, or has just closed, the connections. */
export function goodbyeOver(state: State): Step {
  if (!state.stopping) return [state, []];
  const stopping = { ...state.stopping, over: true };
  return [{ ...state, stopping }, state.link === 'reconnecting' ? [{ do: 'disconnect' }] : []];
}

/** The server asked for it to be now. */
export function comeBack(state: State): Step {
  if (!state.stopping) return [state, []];
  const away = state.link === 'reconnecting';
  return [{ ...state, stopping: null }, away ? [{ do: 'connect' }] : []];
}

/** The network is back: do not wait for the next scheduled attempt. */
export function online(state: State, isOnline: boolean): Step {
  const hurry = isOnline && state.link === 'reconnecting';
  return [{ ...state, online: isOnline }, hurry ? [{ do: 'connect' }] : []];
}

/** The guest's wish after the server told us to stay away. */
export function reconnect(state: State): Step {
  return [{ ...state, link: 'connecting', stopped: null }, [{ do: 'connect' }]];
}

export function established(state: State, event: ConnectionEstablished): Step {
  const told = opening(state.open, event.limits);
  const [here, effects] = arrived(state, event);
  return [here, told ? [told, ...effects] : effects];
}

function arrived(state: State, event: ConnectionEstablished): Step {
  const { userId: id, username, at: home = null, limits, room } = event;
  const { notice } = state;
  const here: State = {
    ...state,
    // What was said of the connection is over now.
    notice: notice === 'session_anew' ? notice : null,
    me: { id, username },
    home,
    limits,
    link: 'connected',
    ready: true,
    stopping: null,
    stopped: null,
  };
  const { conversation, leaving } = here;
  const effects: Effect[] = [];
  if (room) {
    const unwanted = leaving === 'search' || (leaving !== null && sameRoom(leaving, room));
    if (!unwanted) {
      const asked = conversation && !conversation.ending;
      const known = asked && sameRoom(conversation, room);
      // Whatever still waits is asked for again.
      if (known) here.conversation = { ...conversation, asked: [], callAsks: null };
      const again = restoredIn(here, room);
      // Nothing is sent before room:resumed has said what the server has.
      const [entered, resting]: Step = known
        ? [here, []]
        : again
          ? talkIn(here, again)
          : enter(here, room);
      const waiting = { ...entered, ready: false, leaving: null };
      // A room we knew nothing of, or no longer: come again, and ask for all that is missing.
      const anew = !asked && (again !== null || room.seq > 0);
      return [waiting, anew ? [...resting, { do: 'connect' }] : resting];
    }
    effects.push(clear(here));
  } else {
    if (leaving !== 'search') here.leaving = null;
    // Without an answer that will come, there is no way back.
    if (here.undo?.asked === true) here.notice = 'undo_impossible';
    if (here.undo?.asked === true || here.undo?.seconds === null) here.undo = null;
  }
  if (conversation && !conversation.ending) here.conversation = talk.ended(conversation, 'away');
  if (here.view === 'searching') effects.push(ask(here));
  else if (leaving === 'search' && !room) {
    effects.push({ do: 'emit', event: 'user:match:cancel', payload: {} });
  }
  return [here, effects];
}

/** The conversation of `room` if it was over here, and somebody has come back while we were away. */
function restoredIn({ conversation, undo }: State, room: Room): Conversation | null {
  if (conversation?.ending && sameRoom(conversation, room))
    return talk.revived(conversation, room.partner);
  return undo && sameRoom(undo.conversation, room) ? undo.conversation : null;
}
