/** What is asked before there is a session: age, the rules, and a little work of the browser. */
import type { BanNotice } from '../wire/types';
import type { State, Step } from './state';
import type { Trouble } from './trouble';

/** What the newcomer has answered so far. */
export interface Given {
  /** YYYY-MM-DD */
  bornOn?: string;
  /** The version of the rules that was accepted. */
  rules?: string;
  /** Of a provider: `<state>.<result>.<signature>`. */
  ageProof?: string;
  /** That the work was done. */
  proof?: string;
}

/** Why a session was not made. */
export interface Refused {
  trouble: Trouble;
  /** Seconds. */
  retryAfter: number | null;
  ban?: BanNotice | null;
  challenge?: object | null;
  /** What the session was to be called. */
  username?: string | null;
}

const ASKED: readonly Trouble[] = ['age_required', 'rules_required', 'proof_required', 'under_age'];

/** Whether the guest is asked something now; who is being asked is told there what goes wrong. */
export function asks({ asked, creating }: State, { trouble }: Refused): boolean {
  return ASKED.includes(trouble) || (asked !== null && creating !== 'named');
}

export function asked(state: State, refused: Refused): Step {
  const view = state.view === 'conversation' ? 'start' : state.view;
  return [{ ...state, view, conversation: null, notice: null, asked: refused }, []];
}

/** Try again with what was given. Who wanted another name may leave it at that. */
export function answer(state: State, given: Given | null): Step {
  if (!state.asked) return [state, []];
  if (given)
    return [state, [{ do: 'createSession', username: state.asked.username ?? null, given }]];
  return state.creating === 'named' ? [{ ...state, creating: null, asked: null }, []] : [state, []];
}
