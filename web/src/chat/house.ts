/** Whether people can be met now: some houses are open at certain hours. */
import type { MatchingStatus } from '../wire/types';
import type { State, Step } from './state';

/** More would be a crowd, on a phone. */
const MOST_SUGGESTIONS = 6;

const NOBODY: MatchingStatus['waiting'] = { text: 0, audio: 0, video: 0 };

/** What the server has told; a house that is closed opens by itself. */
export function told(state: State, house: MatchingStatus): Step {
  const { opensIn } = house;
  const ms = opensIn === undefined ? null : opensIn * 1000;
  const suggestions = inOrder(state.house?.suggestions ?? [], house.suggestions);
  const nobodyYet = state.nobodyYet && house.waiting[state.preferences.mode] <= 1;
  return [
    { ...state, nobodyYet, house: { ...house, suggestions } },
    [{ do: 'timer', key: 'opening', ms }],
  ];
}

/** A search was refused: the house is closed for so many seconds. */
export function closed(state: State, opensIn: number): Step {
  const house: MatchingStatus = { waiting: NOBODY, suggestions: [], ...state.house };
  delete house.closesIn;
  return told({ ...state, view: 'start', undo: null, notice: null }, { ...house, opensIn });
}

export function opened(state: State): Step {
  if (!state.house) return [state, []];
  const house = { ...state.house };
  delete house.opensIn;
  return [{ ...state, house }, []];
}

/** The first of `now`; what was there before stays where it was, for somebody may be about to press it. */
function inOrder(before: readonly string[], now: readonly string[]): string[] {
  const most = now.slice(0, MOST_SUGGESTIONS);
  const stay = before.filter((interest) => most.includes(interest));
  return [...stay, ...most.filter((interest) => !stay.includes(interest))];
}
