/** What moderators have decided about the guest, and how it is told. */
import type { BanNotice, Told } from '../wire/types';
import type { Rule } from './report';
import type { State, Step } from './state';

export interface Warning {
  rule: Rule;
  /** By a moderator. */
  words: string;
  /** Not only a warning: it ended the session before, while the guest was away. */
  ended?: boolean;
}

/** Why the guest is not in. */
export type Barred = ({ kind: 'session_ended' } & Warning) | ({ kind: 'banned' } & Ban);

/** `since` is not told when it begins. */
export type Ban = Omit<BanNotice, 'since'> & Partial<BanNotice>;

export function told(state: State, { kind, ...notice }: Told): Step {
  if (kind === 'banned') return barred(state, { kind, ...notice });
  const { rule, words } = notice;
  if (kind === 'session_ended') return barred(state, { kind, rule, words });
  return [{ ...state, warnings: [...state.warnings, { rule, words }] }, []];
}

/** The guest comes back, and the session before was ended. */
export function endedBefore(state: State, ended: BanNotice | undefined): State {
  if (!ended) return state;
  const { rule, words } = ended;
  return { ...state, warnings: [...state.warnings, { rule, words, ended: true }] };
}

/** The guest has read the first of the warnings. */
export function read(state: State): Step {
  return [{ ...state, warnings: state.warnings.slice(1) }, []];
}

/** Out, and told why; only the guest's wish connects again. */
export function barred(state: State, why: Barred): Step {
  return [
    {
      ...state,
      view: 'start',
      creating: null,
      link: 'stopped',
      ready: false,
      search: null,
      nobodyYet: false,
      conversation: null,
      undo: null,
      pause: null,
      leaving: null,
      blocked: null,
      notice: null,
      nameTrouble: null,
      stopped: null,
      barred: why,
      asked: null,
    },
    [
      { do: 'disconnect' },
      { do: 'timer', key: 'session', ms: null },
      { do: 'timer', key: 'reconnect', ms: null },
    ],
  ];
}

/** Begin anew; the server says whether that is possible now. */
export function begin(state: State): Step {
  if (!state.barred || state.creating !== null) return [state, []];
  return [
    { ...state, token: null, home: null, creating: 'expired' },
    [{ do: 'createSession', username: state.me?.username ?? null }],
  ];
}
