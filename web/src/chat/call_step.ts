/** What happens to a call: each input to the next state and what to do. */
import type { Code } from '../wire/types';
import {
  isJoined,
  NO_CALL,
  type Bring,
  type Call,
  type CallEffect,
  type CallInput,
  type CallKind,
  type CallNotice,
  type CallStep,
  type Facts,
  type Outcome,
  type Trying,
} from './call';

/** When to try what, counted from the loss of the path. */
const LADDER = [
  { after: 0, how: 'any' },
  { after: 3000, how: 'any' },
  { after: 8000, how: 'relay' },
  { after: 15_000, how: 'sound' },
  { after: 22_000, how: 'sound' },
] as const;
/** Nobody looks at a frozen picture for longer. */
export const GIVE_UP_MS = 30_000;
/** A first path may take its time: the ladder begins with its third rung. */
const FIRST_RUNG = 2;

export function step(state: Call, input: CallInput): CallStep {
  switch (input.type) {
    case 'call':
    case 'answer':
    case 'rejoin':
    case 'bring':
    case 'opened':
    case 'trouble':
      return prepare(state, input);
    case 'join':
      return join(state, input.now);
    case 'hangUp':
      return hangUp(state, input.now);
    case 'dismiss':
      return [state.at === 'idle' ? { ...state, notice: null } : state, []];
    case 'impossible':
      return over(state, 'failed', input.now, input.notice, true);
    case 'offered':
      return offered(state, input);
    case 'named':
      return named(state, input);
    case 'answered':
      if (state.at !== 'calling' || isOther(state.facts, input.callId)) return [state, []];
      return connecting({ ...state.facts, callId: input.callId }, input.now);
    case 'ended':
      return ended(state, input);
    case 'refused':
      return refused(state, input);
    case 'path':
      return path(state, input.path, input.now);
    case 'network':
      return [state, isJoined(state) ? [{ do: 'restart', how: 'any' }] : []];
    case 'signals':
      return [state, signals(state)];
    case 'tick':
      return tick(state, input.now);
    case 'found':
      return [state.at === 'idle' ? { ...state, rejoin: input.rejoin } : state, []];
    case 'over':
      if (state.at === 'idle') return [NO_CALL, []];
      return over(state, state.at === 'ringing' ? 'missed' : 'failed', input.now, null);
  }
}

type PrepareInput = Extract<
  CallInput,
  { type: 'call' | 'answer' | 'rejoin' | 'bring' | 'opened' | 'trouble' }
>;

function prepare(state: Call, input: PrepareInput): CallStep {
  const begin = (
    why: 'call' | 'answer' | 'rejoin',
    facts: Facts,
    bring: Bring,
    look: boolean,
  ): CallStep => [
    { at: 'preparing', facts, why, bring, look, ready: false, trouble: null },
    [{ do: 'open', bring }],
  ];
  switch (input.type) {
    case 'call': {
      if (state.at !== 'idle') return [state, []];
      const facts = { callId: null, kind: input.kind, outgoing: true, polite: false, since: null };
      return begin('call', facts, input.kind, input.look);
    }
    case 'answer':
      if (state.at !== 'ringing') return [state, []];
      return begin('answer', state.facts, input.bring, input.look);
    case 'rejoin':
      if (state.at !== 'idle' || !state.rejoin) return [state, []];
      return begin('rejoin', state.rejoin, input.bring, false);
    case 'bring': {
      if (state.at !== 'preparing') return [state, []];
      const { bring } = input;
      // Whoever calls without a camera still calls to see the other.
      return [{ ...state, bring, ready: false, trouble: null }, [{ do: 'open', bring }]];
    }
    case 'opened':
      if (state.at !== 'preparing') return [state, []];
      return state.look
        ? [{ ...state, ready: true }, []]
        : join({ ...state, ready: true }, input.now);
    case 'trouble':
      return [state.at === 'preparing' ? { ...state, trouble: input.code } : state, []];
  }
}

function join(state: Call, now: number): CallStep {
  if (state.at !== 'preparing' || !state.ready) return [state, []];
  const { facts, why } = state;
  if (why === 'call') return [{ at: 'calling', facts }, [{ do: 'place' }]];
  const [next, effects] = connecting(facts, now);
  return [next, [{ do: why === 'answer' ? 'take' : 'rejoin' }, ...effects]];
}

function connecting(facts: Facts, now: number): CallStep {
  const next: Call = { at: 'connecting', facts, attempt: FIRST_RUNG, began: now };
  return [next, [{ do: 'timer', ms: wait(next, now) }]];
}

/** Until the next rung of the ladder, or the end of patience. */
function wait({ attempt, began }: Trying, now: number): number {
  const due = LADDER[attempt]?.after ?? GIVE_UP_MS;
  return Math.max(0, began + due - now);
}

function hangUp(state: Call, now: number): CallStep {
  if (state.at === 'idle') {
    const { rejoin } = state;
    if (!rejoin) return [NO_CALL, []];
    const { callId } = rejoin;
    return [NO_CALL, [{ do: 'hangUp', how: 'end', callId }, recordOf(rejoin, 'talked', now)]];
  }
  const { callId, outgoing } = state.facts;
  // Not yet told to anybody.
  if (state.at === 'preparing' && state.why === 'call') {
    return [NO_CALL, [{ do: 'close' }, { do: 'timer', ms: null }]];
  }
  const untaken = state.at === 'ringing' || state.at === 'preparing';
  const how = untaken && !outgoing ? 'reject' : 'end';
  const outcome = how === 'reject' ? 'declined' : state.at === 'calling' ? 'cancelled' : 'talked';
  const [next, effects] = over(state, outcome, now, null);
  return [next, [{ do: 'hangUp', how, callId }, ...effects]];
}

function offered(state: Call, input: CallInput & { type: 'offered' }): CallStep {
  const { callId, kind, polite, now } = input;
  const facts: Facts = { callId, kind, polite, outgoing: false, since: null };
  const rings: Call = { at: 'ringing', facts };
  switch (state.at) {
    case 'idle':
      // Of a call that we were in before a reload: the shell keeps it until the guest rejoins.
      if (state.rejoin?.callId === callId) return [state, []];
      return [rings, []];
    case 'preparing':
      if (state.facts.callId === callId) return [state, []];
      // Both wish to talk, and theirs has come first.
      if (state.why === 'call') return [{ ...state, facts, why: 'answer' }, []];
      break;
    case 'calling':
      // Both called at once: theirs is the call, and ours was never one.
      if (state.facts.callId === null) {
        const [next, effects] = connecting(facts, now);
        return [next, [{ do: 'take' }, ...effects]];
      }
      break;
    default:
      // A new negotiation is the peer connection's business.
      if (state.facts.callId === callId) return [state, []];
  }
  // The end of the one before was lost on the way.
  const [, effects] = over(state, 'failed', now, null);
  return [rings, effects];
}

function named(state: Call, { callId, kind, polite }: CallInput & { type: 'named' }): CallStep {
  if (state.at === 'calling') return [{ ...state, facts: { ...state.facts, callId, polite } }, []];
  // What we meant to rejoin was over, so that it has become a new call: it rings at theirs.
  if (state.at === 'connecting' && state.facts.callId !== callId) {
    const facts: Facts = { callId, kind, polite, outgoing: true, since: null };
    return [{ at: 'calling', facts }, [{ do: 'timer', ms: null }]];
  }
  return [state, []];
}

/** What may have been lost with the connection is said again. */
function signals(state: Call): CallEffect[] {
  if (state.at === 'connecting' || state.at === 'recovering')
    return [{ do: 'restart', how: 'any' }];
  const unsure = state.at === 'calling' && state.facts.callId === null;
  return unsure || state.at === 'active' ? [{ do: 'resend' }] : [];
}

/** A signal is of a call that is not this one. */
function isOther({ callId }: Facts, named: string): boolean {
  return callId !== null && callId !== named;
}

const ENDS = { end: null, reject: 'declined', timeout: 'unanswered' } as const;

function ended(state: Call, { callId, how, now }: CallInput & { type: 'ended' }): CallStep {
  if (state.at === 'idle') {
    if (state.rejoin?.callId !== callId) return [state, []];
    return [NO_CALL, [recordOf(state.rejoin, 'talked', now)]];
  }
  // Without a name it is one that nobody else knows of yet, or whose name was lost on the way.
  if (isOther(state.facts, callId)) return [state, []];
  const { outgoing } = state.facts;
  const untaken = state.at === 'ringing' || state.at === 'preparing' || state.at === 'calling';
  // They gave up first, or would not wait: with no path there was nothing left to be ended.
  if (state.at === 'recovering') return over(state, 'lost', now, 'lost');
  if (!untaken) return over(state, 'talked', now, null);
  return over(state, outgoing ? (ENDS[how] ?? 'unanswered') : 'missed', now, null);
}

function refused(state: Call, { code, now }: CallInput & { type: 'refused' }): CallStep {
  if (state.at !== 'calling' && !isJoined(state)) return [state, []];
  if (code === 'no_call' || code === 'not_in_room') return over(state, 'failed', now, 'failed');
  // After a call of ours that was declined nobody was called.
  if (code === 'call_declined' && state.at === 'calling')
    return [
      { at: 'idle', notice: 'declined', rejoin: null },
      [{ do: 'timer', ms: null }, { do: 'close' }],
    ];
  // The paths that are known may do; what was said too fast is said again by the ladder; and a call that
  // is there already is ours, whose name was lost on the way.
  const bearable = code === 'too_many_candidates' || code === 'call_active' || code === 'no_offer';
  if (bearable || state.at !== 'calling' || state.facts.callId !== null) return [state, []];
  return over(state, 'failed', now, noticeOf(code, state.facts.kind));
}

/** Why there is no call, as far as the guest can do something about it. */
function noticeOf(code: Code, kind: CallKind): CallNotice {
  if (code === 'consent_declined') return kind === 'video' ? 'no_video' : 'no_audio';
  return code === 'new_device' || code === 'step_closed' ? code : 'refused';
}

function path(state: Call, way: 'up' | 'down', now: number): CallStep {
  if (way === 'up') {
    if (state.at !== 'connecting' && state.at !== 'recovering') return [state, []];
    const facts = { ...state.facts, since: state.facts.since ?? now };
    return [{ at: 'active', facts }, [{ do: 'timer', ms: null }, { do: 'connected' }]];
  }
  if (state.at !== 'active') return [state, []];
  const next: Call = { at: 'recovering', facts: state.facts, attempt: 1, began: now };
  return [
    next,
    [
      { do: 'restart', how: 'any' },
      { do: 'timer', ms: wait(next, now) },
    ],
  ];
}

function tick(state: Call, now: number): CallStep {
  if (state.at !== 'connecting' && state.at !== 'recovering') return [state, []];
  if (now - state.began >= GIVE_UP_MS) {
    const { callId } = state.facts;
    const lost = state.facts.since !== null;
    const [next, effects] = over(state, lost ? 'lost' : 'failed', now, lost ? 'lost' : 'failed');
    return [next, [{ do: 'hangUp', how: 'end', callId }, ...effects]];
  }
  const rung = LADDER[state.attempt];
  if (!rung || now - state.began < rung.after)
    return [state, [{ do: 'timer', ms: wait(state, now) }]];
  const next = { ...state, attempt: state.attempt + 1 };
  return [
    next,
    [
      { do: 'restart', how: rung.how },
      { do: 'timer', ms: wait(next, now) },
    ],
  ];
}

function over(
  state: Call,
  outcome: Outcome,
  now: number,
  notice: CallNotice | null,
  tell = false,
): CallStep {
  if (state.at === 'idle') return [{ ...state, notice }, []];
  const { facts } = state;
  const effects: CallEffect[] = [{ do: 'timer', ms: null }, { do: 'close' }];
  if (tell && facts.callId !== null) {
    effects.push({ do: 'hangUp', how: 'end', callId: facts.callId });
  }
  const untold = state.at === 'preparing' && state.why === 'call';
  if (!untold) effects.push(recordOf(facts, outcome, now));
  return [{ at: 'idle', notice, rejoin: null }, effects];
}

function recordOf({ kind, outgoing, since }: Facts, outcome: Outcome, now: number): CallEffect {
  const seconds = since === null ? 0 : Math.round((now - since) / 1000);
  // Whoever talked has talked, however it ended; and nobody has where nothing was heard.
  const talked = outcome === 'talked' || (outcome === 'failed' && since !== null);
  const honest = talked ? (since === null ? 'failed' : 'talked') : outcome;
  return { do: 'record', record: { kind, outgoing, outcome: honest, seconds } };
}
