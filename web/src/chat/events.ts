/** What the server says while we are connected: the search and the conversation. */
import type {
  ChatError,
  MatchError,
  MatchSearching,
  Message,
  RoomRestored,
  RoomResumed,
  UndoError,
} from '../wire/types';
import { ask, catchUp, clear, proceed } from './actions';
import * as talk from './exchange';
import { open, sameRoom, unsent, type Conversation, type Room } from './conversation';
import { closed } from './house';
import * as report from './report_step';
import { told } from './sanction';
import type { State, Step, WireEvent } from './state';

/** Some clients say only once that they type; longer than this and they have forgotten to say stop. */
const TYPING_LASTS_MS = 10_000;
/** That a page was loaded anew is news for so long. */
const RELOADED_MS = 10_000;
const DEFAULT_PAUSE_S = 2;
/** Without a word from the server of when it opens. */
const DEFAULT_CLOSED_S = 60;
const LEAST_PAUSE_MS = 250;
/** A match may come within 25 ms, and the second click of a double click within half a second. */
export const REST_MS = 1000;

/** Two have met. */
export function enter(state: State, room: Room): Step {
  return talkIn(state, open(room));
}

/** Be in this conversation, which is new here, or here again. */
export function talkIn(state: State, conversation: Conversation): Step {
  return [
    {
      ...state,
      view: 'conversation',
      search: null,
      resting: true,
      conversation,
      undo: null,
      blocked: null,
      pause: null,
      notice: null,
    },
    [{ do: 'timer', key: 'rest', ms: REST_MS }],
  ];
}

/** Confirm the latest message of the partner, unless more of a replay is to come. */
function confirm(state: State): Step {
  if (!state.conversation) return [state, []];
  const [messageId, conversation] = talk.takeConfirmation(state.conversation);
  if (messageId === null) return [state, []];
  return [
    { ...state, conversation },
    [{ do: 'emit', event: 'chat:message:delivered', payload: { messageId } }],
  ];
}

function roomResumed(state: State, event: RoomResumed): Step {
  const { conversation } = state;
  if (!conversation || conversation.ending || !sameRoom(conversation, event)) return [state, []];
  const back = { ...state, ready: true, conversation: talk.resumed(conversation, event) };
  const [confirmed, confirmation] = confirm(back);
  const [next, messages] = catchUp(confirmed);
  return [next, [...confirmation, ...messages]];
}

function message(state: State, event: Message): Step {
  if (!state.conversation || !state.me) return [state, []];
  const conversation = talk.received(state.conversation, event, state.me.id);
  return confirm({ ...state, conversation });
}

/** Wait, and longer if waiting `ms` was not enough: refusals that go on would get us put out. */
function hold(state: State, conversation: Conversation, clientId: string, ms: number): Step {
  const again = state.pause !== null;
  // One refusal for each message of a burst; the first says it all.
  if (again && unsent(conversation)[0]?.key !== clientId) return [state, []];
  const pause = Math.max(ms, LEAST_PAUSE_MS, (state.pause ?? 0) * 1.5);
  return [{ ...state, pause }, [{ do: 'timer', key: 'outbox', ms: pause }]];
}

function chatError(state: State, event: ChatError): Step {
  const { conversation, leaving } = state;
  const { clientId, code, retryAfter } = event;
  if (typeof leaving === 'object' && leaving?.block && code === 'rate_limited')
    return [state, [{ do: 'timer', key: 'block', ms: (retryAfter ?? DEFAULT_PAUSE_S) * 1000 }]];
  if (!conversation || conversation.ending) return [state, []];
  if (code === 'rate_limited') {
    // Without a message it was the typing signal: nothing is lost.
    if (clientId === undefined) return [state, []];
    const ms = (retryAfter ?? DEFAULT_PAUSE_S) * 1000;
    return hold(state, conversation, clientId, ms);
  }
  if (code === 'not_in_room') {
    // It waited for the partner of an earlier conversation, which is over by now.
    if (clientId && !unsent(conversation).some(({ key }) => key === clientId)) return [state, []];
    // We have lost track of where we are; a new connection begins with being told.
    return [state, [{ do: 'connect' }]];
  }
  if (clientId === undefined) return [{ ...state, notice: code }, []];
  return proceed({
    ...state,
    conversation: talk.refused(conversation, clientId, code, retryAfter),
  });
}

function matchError(state: State, event: MatchError): Step {
  // An answer that comes after the search is old news.
  if (state.view !== 'searching') return [state, []];
  const { code, retryAfter } = event;
  if (code === 'rate_limited') {
    const ms = (retryAfter ?? DEFAULT_PAUSE_S) * 1000;
    return [{ ...state, notice: code }, [{ do: 'timer', key: 'search', ms }]];
  }
  // We have lost track of where we are; a new connection begins with being told.
  if (code === 'already_in_room') return [state, [{ do: 'connect' }]];
  if (code === 'house_closed') return closed(state, retryAfter ?? DEFAULT_CLOSED_S);
  return [{ ...state, view: 'start', undo: null, notice: code }, []];
}

function searching(state: State, event: MatchSearching): Step {
  if (state.view !== 'searching') return [state, []];
  const { stage, waiting, elapsed, usualWait } = event;
  const search = { stage, waiting, elapsed, ...(usualWait !== undefined && { usualWait }) };
  return [{ ...state, search, nobodyYet: state.nobodyYet && waiting <= 1 }, []];
}

/** The server has ended the conversation; if it keeps it for a while, it says how long. */
function cleared(state: State, seconds: number | undefined): Step {
  const here: State = typeof state.leaving === 'object' ? { ...state, leaving: null } : state;
  if (here.undo?.seconds !== null) return [here, []];
  if (seconds === undefined) return [{ ...here, undo: null }, []];
  return [
    { ...here, undo: { ...here.undo, seconds } },
    [{ do: 'timer', key: 'undo', ms: seconds * 1000 }],
  ];
}

/** The one who moved on is back: we, or the partner. */
function restored(state: State, event: RoomRestored): Step {
  const { conversation, undo, view } = state;
  const { partner, roomId, epoch } = event;
  if (conversation && !conversation.ending) return [state, []];
  if (conversation && sameRoom(conversation, event)) {
    const revived = { ...state, conversation: talk.revived(conversation, partner) };
    const [here, messages] = catchUp(revived);
    return [here, [{ do: 'timer', key: 'return', ms: null }, ...messages]];
  }
  if (undo && sameRoom(undo.conversation, event)) {
    const [here, resting] = talkIn(state, { ...undo.conversation, partner });
    // Nothing is sent before room:resumed has said what the server has.
    return [{ ...here, ready: false }, [...resting, { do: 'timer', key: 'undo', ms: null }]];
  }
  // That somebody comes back and our turning away have crossed.
  const away: State = { ...state, leaving: { roomId, epoch }, undo: null };
  return [away, view === 'searching' ? [clear(away), ask(away)] : [clear(away)]];
}

function undoError(state: State, { code }: UndoError): Step {
  const { undo } = state;
  // Another press may do.
  const again = undo && code === 'rate_limited' ? { ...undo, asked: false } : null;
  return [{ ...state, undo: again, notice: code }, []];
}

/** Apply `change` if the event is about the partner of a conversation that goes on. */
function ofPartner(
  state: State,
  userId: string,
  change: (conversation: Conversation) => Conversation,
): Step {
  const { conversation } = state;
  if (!conversation || conversation.ending || conversation.partner.id !== userId)
    return [state, []];
  return [{ ...state, conversation: change(conversation) }, []];
}

export function onEvent(state: State, input: WireEvent): Step {
  const { conversation } = state;
  switch (input.event) {
    case 'realtime:stats':
      return [{ ...state, stats: input.payload.stats }, []];
    case 'session:renewed':
      return [{ ...state, token: input.payload.token }, []];
    case 'user:match:searching':
      return searching(state, input.payload);
    case 'user:match:no_users':
      // It is also said when nobody of those who search fits yet.
      return [{ ...state, nobodyYet: (state.search?.waiting ?? 1) <= 1 }, []];
    case 'user:match:cancelled':
    case 'user:match:cancel:error':
      return [state.leaving === 'search' ? { ...state, leaving: null } : state, []];
    case 'user:match:error':
      return matchError(state, input.payload);
    case 'user:matched': {
      const { matchedUser: partner, roomId, epoch, at: home = null } = input.payload;
      const { shared = null, metBefore: before = false } = input.payload;
      const moved = { ...state, home };
      if (state.view === 'searching') {
        const meeting = { shared, before, mode: state.preferences.mode };
        return enter(moved, { partner, roomId, epoch, meeting });
      }
      // The match and our cancel crossed.
      return [
        { ...moved, leaving: { roomId, epoch } },
        [{ do: 'emit', event: 'chat:clear', payload: {} }],
      ];
    }
    case 'chat:clear:confirmed':
      return cleared(state, input.payload.undo);
    case 'chat:undo:error':
      return undoError(state, input.payload);
    case 'room:restored':
      return restored(state, input.payload);
    case 'room:resumed':
      return roomResumed(state, input.payload);
    case 'chat:message':
      return message(state, input.payload);
    case 'chat:message:sent': {
      const { messageId: id, seq, timestamp: at, clientId } = input.payload;
      if (!conversation || clientId === undefined) return [state, []];
      return proceed({
        ...state,
        conversation: talk.accepted(conversation, clientId, { id, seq, at }),
      });
    }
    case 'chat:message:delivered':
      if (!conversation) return [state, []];
      return [
        { ...state, conversation: talk.delivered(conversation, input.payload.messageId) },
        [],
      ];
    case 'chat:error':
      return chatError(state, input.payload);
    case 'chat:typing:start': {
      const [typing] = ofPartner(state, input.payload.userId, (c) => ({
        ...c,
        partnerTyping: true,
        partnerReloaded: false,
      }));
      return [typing, [{ do: 'timer', key: 'typing', ms: TYPING_LASTS_MS }]];
    }
    case 'chat:typing:stop':
      return ofPartner(state, input.payload.userId, (c) => ({ ...c, partnerTyping: false }));
    case 'room:partner_away':
      return ofPartner(state, input.payload.userId, (c) => ({
        ...c,
        partnerAway: true,
        partnerTyping: false,
        partnerReloaded: false,
      }));
    case 'room:partner_back': {
      const { userId, reloaded: partnerReloaded = false } = input.payload;
      const [back] = ofPartner(state, userId, (c) => ({
        ...c,
        partnerAway: false,
        partnerReloaded,
      }));
      return [back, partnerReloaded ? [{ do: 'timer', key: 'reloaded', ms: RELOADED_MS }] : []];
    }
    case 'webrtc:offer':
    case 'webrtc:answer':
      // The new page has joined the call, or begun one.
      return ofPartner(state, input.payload.from, (c) => ({ ...c, partnerReloaded: false }));
    case 'consent:ask':
    case 'consent:withdrawn': {
      const { userId, step } = input.payload;
      const wants = input.event === 'consent:ask';
      // The server asks before it hears what everybody may send.
      if (wants && state.open?.includes(step)) return [state, []];
      return ofPartner(state, userId, (c) => talk.asked(c, step, wants));
    }
    case 'consent:waiting': {
      const { step, clientId } = input.payload;
      if (!conversation) return [state, []];
      return [{ ...state, conversation: talk.asking(conversation, step, clientId) }, []];
    }
    case 'consent:answered': {
      const { userId, step } = input.payload;
      return ofPartner(state, userId, (c) => (c.callAsks === step ? { ...c, callAsks: null } : c));
    }
    case 'safety:reported':
      return report.taken(state, input.payload);
    case 'safety:report:error':
      return report.refused(state, input.payload);
    case 'safety:told':
      return told(state, input.payload);
    case 'room:user_left':
      return userLeft(state, input.payload);
    case 'chat:cleared':
      return chatCleared(state, input.payload);
    case 'room:closed':
      return roomClosed(state, input.payload);
    default:
      return [state, []];
  }
}

function userLeft(state: State, event: WireEvent<'room:user_left'>['payload']): Step {
  const { userId, undo: seconds } = event;
  const { conversation } = state;
  const mayReturn = seconds === undefined ? null : { seconds };
  // They may come back no longer.
  if (conversation?.ending === 'left' && conversation.partner.id === userId)
    return [{ ...state, conversation: { ...conversation, mayReturn } }, []];
  const [left] = ofPartner(state, userId, (c) => ({ ...talk.ended(c, 'left'), mayReturn }));
  return [left, seconds === undefined ? [] : [{ do: 'timer', key: 'return', ms: seconds * 1000 }]];
}

function chatCleared(state: State, { userId, reason }: WireEvent<'chat:cleared'>['payload']): Step {
  const { conversation } = state;
  const ending = reason === 'user_left' ? 'left' : 'session_ended';
  // `room:user_left` comes just before, without a reason; this says which it was.
  if (conversation?.ending === 'left' && conversation.partner.id === userId) {
    const mayReturn = ending === 'left' ? conversation.mayReturn : null;
    return [{ ...state, conversation: { ...conversation, ending, mayReturn } }, []];
  }
  return ofPartner(state, userId, (c) => talk.ended(c, ending));
}

const ENDINGS = {
  user_left: 'left',
  user_disconnected: 'disconnected',
  session_ended: 'session_ended',
  partner_offline: 'partner_offline',
} as const;

function roomClosed(state: State, event: WireEvent<'room:closed'>['payload']): Step {
  const { conversation, me } = state;
  // `away` was our own guess from finding no room; this says what became of it.
  if (!conversation || (conversation.ending && conversation.ending !== 'away')) return [state, []];
  if (event.userId !== conversation.partner.id && event.userId !== me?.id) return [state, []];
  const ending = talk.ended(conversation, ENDINGS[event.reason], event.undelivered);
  return [{ ...state, conversation: ending }, []];
}
