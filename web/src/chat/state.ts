/** Everything the client knows, what can happen to it, and what it then wants done. */
import type {
  Auth,
  BanNotice,
  ClientToServer,
  Code,
  GuestCreated,
  Limits,
  MatchingStatus,
  MatchSearching,
  ServerToClient,
  Stats,
} from '../wire/types';
import { EMPTY, type Attached, type Queue } from './attachments';
import type { CallRecord } from './call';
import type { ConsentStep } from './consent';
import { open, unsent, type CallLine, type Conversation, type Room } from './conversation';
import { draftOf, wrote, type Draft } from './exchange';
import type { Given, Refused } from './newcomer';
import { NO_PREFERENCES, type Preferences } from './preferences';
import type { Reporting, Sent } from './report';
import type { Barred, Warning } from './sanction';
import type { Trouble } from './trouble';

export type View = 'start' | 'searching' | 'conversation';

/** What a search has come to, as the server told last. */
export type Search = Pick<MatchSearching, 'stage' | 'waiting' | 'elapsed' | 'usualWait'>;

/** A conversation that the guest has just moved on from, and may come back to. */
export interface Undo {
  conversation: Conversation;
  /** In which it is possible; null until the server has told. */
  seconds: number | null;
  /** The server was asked for it. */
  asked: boolean;
}

/** The server is about to stop, or has stopped and will be back. */
export interface Stopping {
  /** In seconds from when it came. */
  told: { closesIn: number; returnIn: number; kept: boolean };
  /** The time to say goodbye is over. */
  over: boolean;
}

export interface State {
  view: View;
  token: string | null;
  /** Of the session before, which the server says is gone: with it, it may say why. */
  former: string | null;
  me: { id: string; username: string } | null;
  /** Of a server that is several processes, the one where the guest lives: to connect there is cheaper. */
  home: string | null;
  /** A session being made, and why: the first, in place of an expired one, or for a name of choice. */
  creating: 'first' | 'expired' | 'named' | null;
  /** `stopped`: closed by the server, and only the guest's wish connects again. */
  link: 'connecting' | 'connected' | 'reconnecting' | 'stopped';
  /** As the browser says, until the server is heard: it may be on this device, or the browser be wrong. */
  online: boolean;
  /** Events may be sent: the server has told us where we are. */
  ready: boolean;
  /** What the server takes; null until the first connection has told it. */
  limits: Limits | null;
  stats: Stats | null;
  /** How searches fare, and whether there can be one: asked for at the start. */
  house: MatchingStatus | null;
  preferences: Preferences;
  search: Search | null;
  nobodyYet: boolean;
  /** They have just met: what ends a conversation waits, for it may have been pressed at what was there before. */
  resting: boolean;
  conversation: Conversation | null;
  /** Of the search that came after it; a reload forgets it. */
  undo: Undo | null;
  /** What is to be sent in this conversation and is not yet a message of it. */
  attachments: Queue;
  /** The server asked for a pause: until the outbox is empty, messages go one by one, so many ms apart. */
  pause: number | null;
  /**
   * What the guest has turned away from while the server may not know it yet: a room, or a search
   * that may have found somebody in the meantime.
   */
  leaving:
    (Pick<Room, 'roomId' | 'epoch'> & { /** And its partner. */ block?: true }) | 'search' | null;
  /** The name of whom the guest has just blocked. */
  blocked: string | null;
  /** Of the partner, while it is made or its receipt is shown. */
  report: Reporting | null;
  /** Of moderators; the guest has not confirmed them yet. */
  warnings: readonly Warning[];
  /** The guest was sent away: why. */
  barred: Barred | null;
  /** Why there is no new session yet, if the guest can do something about it. */
  asked: Refused | null;
  /** What the guest allows everybody; null as long as nothing was chosen. */
  open: readonly ConsentStep[] | null;
  /** One calm line for the guest. */
  notice: Trouble | null;
  nameTrouble: Trouble | null;
  stopping: Stopping | null;
  stopped: Trouble | null;
}

/** What outlives a reload of the page. */
export interface Saved {
  token: string;
  username: string;
  /** Absent in what a client left behind that did not keep it. */
  home?: string | null;
  searching: boolean;
  leaving: State['leaving'];
  room: Room | null;
  outbox: Draft[];
  /** The server has none of them. */
  calls: readonly CallLine[];
  /** Absent as `home`. */
  preferences?: Preferences;
  /** What the guest has answered in the room; absent as `home`. */
  answers?: Conversation['answers'];
  /** Nobody tells it again; absent as `home`. */
  warnings?: State['warnings'];
  /** The session was ended, which nobody tells again; absent as `home`. */
  ended?: State['barred'];
}

export type TimerKey =
  | 'typing'
  | 'reloaded'
  | 'rest'
  | 'search'
  | 'outbox'
  | 'upload'
  | 'session'
  | 'reconnect'
  | 'stopping'
  | 'comeBack'
  | 'undo'
  | 'return'
  | 'block'
  | 'opening';

export type WireEvent<Name extends keyof ServerToClient = keyof ServerToClient> = {
  [E in Name]: { type: 'event'; event: E; payload: ServerToClient[E] };
}[Name];

export type Input =
  | WireEvent
  | { type: 'boot'; saved: Saved | null; online: boolean }
  | { type: 'online'; online: boolean }
  | { type: 'sessionCreated'; created: GuestCreated }
  | ({ type: 'sessionFailed' } & Refused)
  /** To what the newcomer is asked; null: not now. */
  | { type: 'answer'; given: Given | null }
  | { type: 'down'; retrying: boolean }
  /** The server would not have the connection; without a code, nobody knows why. */
  | { type: 'refused'; code: Code | null; retryAfter: number | null; ban?: BanNotice | null }
  | { type: 'timer'; key: TimerKey }
  | { type: 'house'; house: MatchingStatus }
  | { type: 'prefer'; preferences: Preferences }
  | { type: 'start'; username: string }
  | { type: 'cancel' }
  /** Take back that the guest moved on. */
  | { type: 'undo' }
  | { type: 'send'; clientId: string; content: string; at: string }
  | { type: 'retry'; clientId: string }
  | { type: 'typing'; active: boolean }
  | { type: 'attach'; files: Attached[]; /** Without a look at it before. */ now: boolean }
  | { type: 'sendAttachments' }
  | { type: 'removeAttachment'; id: string }
  | { type: 'retryAttachment'; id: string }
  | { type: 'uploadProgress'; id: string; /** From 0 to 1. */ share: number }
  | { type: 'uploaded'; id: string; file: unknown; at: string }
  | { type: 'uploadFailed'; id: string; trouble: Trouble; retryAfter: number | null }
  | { type: 'called'; record: CallRecord; at: string }
  /** A part of the page cannot be loaded. */
  | { type: 'partMissing' }
  | { type: 'next' }
  | { type: 'leave' }
  /** Allow the partner a step, or not now. */
  | { type: 'consent'; step: ConsentStep; allowed: boolean }
  /** The steps that everybody is allowed. */
  | { type: 'openTo'; steps: readonly ConsentStep[] }
  /** Leave, and never meet the partner again. */
  | { type: 'block' }
  | { type: 'report'; does: 'open' | 'close' }
  | { type: 'sendReport'; report: Sent }
  /** The first warning was read. */
  | { type: 'warned' }
  /** Begin again after a ban or the end of the session. */
  | { type: 'begin' }
  | { type: 'reconnect' };

export type Emission = {
  [E in keyof ClientToServer]: { do: 'emit'; event: E; payload: ClientToServer[E] };
}[keyof ClientToServer];

export type Effect =
  | Emission
  | { do: 'connect' }
  | { do: 'disconnect' }
  | { do: 'createSession'; username: string | null; given?: Given }
  | { do: 'endSession'; token: string }
  | { do: 'upload'; id: string; roomId: string }
  /** Forget these attachments; what is on its way is broken off. */
  | { do: 'discard'; ids: string[] }
  | { do: 'timer'; key: TimerKey; ms: number | null };

export type Step = [State, Effect[]];

/** One for all, by which they are seen to be the same. */
const NO_WARNINGS: State['warnings'] = [];
const NO_CALLS: readonly CallLine[] = [];
const NO_ANSWERS: Conversation['answers'] = {};

export function initial(preferences = NO_PREFERENCES, open: State['open'] = null): State {
  return {
    view: 'start',
    token: null,
    former: null,
    me: null,
    home: null,
    creating: null,
    link: 'connecting',
    online: true,
    ready: false,
    limits: null,
    stats: null,
    house: null,
    preferences,
    search: null,
    nobodyYet: false,
    resting: false,
    conversation: null,
    undo: null,
    attachments: EMPTY,
    pause: null,
    leaving: null,
    blocked: null,
    report: null,
    warnings: NO_WARNINGS,
    barred: null,
    asked: null,
    open,
    notice: null,
    nameTrouble: null,
    stopping: null,
    stopped: null,
  };
}

export function save(state: State): Saved | null {
  const { token, me, home, conversation, preferences } = state;
  if (token === null || me === null) return null;
  const alive = conversation && !conversation.ending ? conversation : null;
  return {
    token,
    username: me.username,
    home,
    searching: state.view === 'searching',
    leaving: state.leaving,
    room: alive && roomOf(alive),
    outbox: alive ? unsent(alive).map(draftOf) : [],
    calls: alive?.calls ?? NO_CALLS,
    preferences,
    answers: alive?.answers ?? NO_ANSWERS,
    warnings: state.warnings,
    ended: state.barred?.kind === 'session_ended' ? state.barred : null,
  };
}

function roomOf({ roomId, epoch, partner, meeting }: Conversation): Room {
  return { roomId, epoch, partner, meeting };
}

export function restore(
  saved: Saved,
  { preferences, open: openTo }: Pick<State, 'preferences' | 'open'>,
): State {
  const { token, username, home = null, searching, leaving, room, outbox, calls } = saved;
  const { answers = NO_ANSWERS, warnings = NO_WARNINGS, ended = null } = saved;
  let conversation = room && { ...open(room), calls, answers, restoring: true };
  for (const draft of outbox) conversation = conversation && wrote(conversation, draft);
  return {
    ...initial(saved.preferences ?? preferences, openTo),
    view: conversation ? 'conversation' : searching ? 'searching' : 'start',
    token,
    // The id comes with the connection; nothing is shown or compared before.
    me: { id: '', username },
    home,
    leaving,
    conversation,
    warnings,
    barred: ended,
  };
}

/** What the handshake carries. */
export function credentials(state: State): Auth {
  const { token, conversation } = state;
  const known = { token, features: ['undo', 'consent'] };
  // One that has ended is named as long as the other may come back to it.
  if (!conversation || (conversation.ending && !conversation.mayReturn)) return known;
  const { roomId, epoch, contiguous, restoring } = conversation;
  const resume = { roomId, epoch, seq: contiguous };
  return { ...known, resume: restoring ? { ...resume, reloaded: true } : resume };
}

/** The connection as one word for the guest. A device that is offline is so before the connection knows. */
export function connectionOf({ link, online }: State): State['link'] | 'offline' {
  return !online && link !== 'stopped' ? 'offline' : link;
}
