/** What the guest does. */
import { unsent, type Line } from './conversation';
import * as talk from './exchange';
import { reference } from './files';
import { requestOf } from './preferences';
import { opening, type ConsentStep } from './consent';
import type { Effect, Emission, Input, State, Step } from './state';

/** Our unacknowledged messages, in order; after the server asked for a pause, only the first. */
function flush(state: State): Emission[] {
  const { conversation, ready, pause } = state;
  if (!conversation || conversation.ending || !ready) return [];
  const waiting = unsent(conversation);
  return (pause === null ? waiting : waiting.slice(0, 1)).map(emission);
}

function emission({ key, type, content }: Line): Emission {
  const payload = {
    type,
    content: type === 'text' ? content : reference(content),
    clientId: key,
  };
  return { do: 'emit', event: 'chat:message', payload };
}

/** Send what is waiting; with nothing left, nothing holds us back. */
export function catchUp(state: State): Step {
  const waiting = flush(state);
  return [{ ...state, pause: waiting.length > 0 ? state.pause : null }, waiting];
}

/** The server has answered for a message: after a pause, the next one's turn comes in a while. */
export function proceed(state: State): Step {
  const { conversation, pause } = state;
  if (pause === null || !conversation) return [state, []];
  if (unsent(conversation).length === 0) return [{ ...state, pause: null }, []];
  return [state, [{ do: 'timer', key: 'outbox', ms: pause }]];
}

/** Search, for whom the guest would like to meet. */
export function ask({ preferences, limits }: State): Emission {
  return { do: 'emit', event: 'user:match', payload: requestOf(preferences, limits) };
}

function search(state: State): Step {
  const effects: Effect[] = state.ready ? [ask(state)] : [];
  return [
    {
      ...state,
      view: 'searching',
      conversation: null,
      search: null,
      nobodyYet: false,
      pause: null,
      leaving: state.leaving === 'search' ? null : state.leaving,
      blocked: null,
      notice: null,
      nameTrouble: null,
    },
    effects,
  ];
}

export function start(state: State, username: string): Step {
  if (!state.me || state.creating === 'named') return [state, []];
  if (username === state.me.username) return search(state);
  return [
    { ...state, creating: 'named', notice: null, nameTrouble: null },
    [{ do: 'createSession', username }],
  ];
}

export function cancel(state: State): Step {
  return [
    { ...state, view: 'start', leaving: state.leaving ?? 'search', undo: null, notice: null },
    [
      { do: 'timer', key: 'search', ms: null },
      ...(state.ready ? [{ do: 'emit', event: 'user:match:cancel', payload: {} } as const] : []),
    ],
  ];
}

/** Whether `input` would end what has just begun: nobody can have meant that yet. */
export function isRash({ resting, conversation }: State, { type }: Input): boolean {
  // After the end Next stands elsewhere; what rests then is what has moved to where it was.
  return resting && (type === 'leave' || (type === 'next' && !conversation?.ending));
}

/** End the conversation that is being left; if it may be undone, the server keeps it for a while. */
export function clear({ undo, leaving }: State): Emission {
  if (typeof leaving === 'object' && leaving?.block)
    return { do: 'emit', event: 'chat:block', payload: {} };
  return { do: 'emit', event: 'chat:clear', payload: undo ? { undo: true } : {} };
}

/** Nothing of a conversation that is left is due any more. */
const QUIET: Effect[] = [
  { do: 'timer', key: 'typing', ms: null },
  { do: 'timer', key: 'outbox', ms: null },
  { do: 'timer', key: 'return', ms: null },
  { do: 'timer', key: 'undo', ms: null },
];

/** Turn away from the conversation; without a connection the server is told on the next one. */
export function leave(state: State, undo: State['undo'] = null): Step {
  const { conversation, ready } = state;
  const gone: State = {
    ...state,
    view: 'start',
    conversation: null,
    undo,
    pause: null,
    notice: null,
  };
  if (!conversation) return [gone, QUIET];
  if (conversation.ending) {
    // Who may come back is told that nobody waits.
    const waits = conversation.mayReturn !== null && ready;
    return [gone, waits ? [...QUIET, clear(gone)] : QUIET];
  }
  const { roomId, epoch } = conversation;
  const left: State = { ...gone, leaving: { roomId, epoch } };
  return [left, ready ? [...QUIET, clear(left)] : QUIET];
}

/** Whether the partner can be blocked: the server must have the conversation, and hear of it now. */
export function canBlock({ conversation, ready }: State): boolean {
  return (
    ready && conversation !== null && (!conversation.ending || conversation.mayReturn !== null)
  );
}

/** Leave, and never meet the partner again. */
export function block(state: State): Step {
  const { conversation } = state;
  if (!conversation || !canBlock(state)) return [state, []];
  const { roomId, epoch, partner } = conversation;
  const [gone] = leave(state);
  const left: State = {
    ...gone,
    leaving: { roomId, epoch, block: true },
    blocked: partner.username,
  };
  return [left, [...QUIET, clear(left)]];
}

/** The server would not hear of the block a moment ago. */
export function blockAgain(state: State): Step {
  const { leaving, ready } = state;
  const waits = ready && typeof leaving === 'object' && leaving?.block === true;
  return [state, waits ? [clear(state)] : []];
}

export function next(state: State): Step {
  const { conversation } = state;
  const undo =
    conversation && !conversation.ending ? { conversation, seconds: null, asked: false } : null;
  const [left, goodbye] = leave(state, undo);
  const [searching, hello] = search(left);
  return [searching, [...goodbye, ...hello]];
}

/** Back to the conversation that the guest has just moved on from. */
export function undo(state: State): Step {
  const { undo: back, ready } = state;
  if (typeof back?.seconds !== 'number' || back.asked || !ready) return [state, []];
  const { roomId, epoch, contiguous: seq } = back.conversation;
  return [
    { ...state, undo: { ...back, asked: true }, notice: null },
    [{ do: 'emit', event: 'chat:undo', payload: { resume: { roomId, epoch, seq } } }],
  ];
}

export function send(state: State, clientId: string, content: string, at: string): Step {
  const { conversation } = state;
  if (!conversation || conversation.ending) return [state, []];
  const draft: talk.Draft = { clientId, type: 'text', content, at };
  return post({ ...state, conversation: talk.wrote(conversation, draft) }, clientId);
}

export function retry(state: State, clientId: string): Step {
  const { conversation } = state;
  if (!conversation || conversation.ending) return [state, []];
  return post({ ...state, conversation: talk.retried(conversation, clientId) }, clientId);
}

/** Send one message now; held back, it waits for its turn. */
export function post(state: State, clientId: string): Step {
  const { conversation, ready, pause } = state;
  if (pause !== null || !conversation || conversation.ending || !ready) return [state, []];
  const own = talk.waiting(conversation, clientId);
  return [state, own ? [emission(own[0])] : []];
}

/** Allow the partner what they ask for, or not now; also without being asked. */
export function consent(state: State, step: ConsentStep, allowed: boolean): Step {
  const { conversation, ready } = state;
  if (!ready || !conversation || conversation.ending) return [state, []];
  return [
    { ...state, conversation: talk.answered(conversation, step, allowed) },
    [
      {
        do: 'emit',
        event: 'consent:answer',
        payload: { step, allowed, userId: conversation.partner.id },
      },
    ],
  ];
}

/** What everybody is allowed from now on. */
export function openTo(state: State, steps: readonly ConsentStep[]): Step {
  const told = state.ready ? opening(steps, state.limits) : null;
  // What waited for it is delivered.
  const conversation = state.conversation && {
    ...state.conversation,
    asked: state.conversation.asked.filter((step) => !steps.includes(step)),
  };
  return [{ ...state, open: steps, conversation }, told ? [told] : []];
}

export function typing(state: State, active: boolean): Step {
  const { conversation, ready } = state;
  if (!ready || !conversation || conversation.ending || conversation.partnerAway)
    return [state, []];
  return [
    state,
    [{ do: 'emit', event: active ? 'chat:typing:start' : 'chat:typing:stop', payload: {} }],
  ];
}
