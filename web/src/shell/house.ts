/** Asks how searches fare, as long as the start or a search is shown and looked at; and which reports are taken. */
import type { MatchingStatus } from '../wire/types';
import { ApiError, knownHouse, matchingStatus } from './api';

export interface ReportRules {
  taken: boolean;
  /** Seconds after the end of a conversation. */
  window: number;
}

/** Whether and how long reports are taken; null if that cannot be had now. */
export async function reportRules(): Promise<ReportRules | null> {
  const told = await knownHouse();
  return told && { taken: told.reports ?? false, window: told.reportWindow ?? 0 };
}

/** Not more often, however often the start comes and goes. */
const EVERY_MS = 15_000;

let asked = -Infinity;

/** Tell how searches fare, now and then, until the function that is returned is called. */
export function watchHouse(tell: (house: MatchingStatus) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;

  async function ask(): Promise<void> {
    asked = performance.now();
    try {
      const house = await matchingStatus();
      if (!over) tell(house);
    } catch (error) {
      // Nobody needs it to begin, and it is asked for again.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  function plan(): void {
    clearTimeout(timer);
    if (over || document.hidden) return;
    const wait = asked + EVERY_MS - performance.now();
    if (wait <= 0) void ask();
    timer = setTimeout(plan, wait > 0 ? wait : EVERY_MS);
  }

  plan();
  document.addEventListener('visibilitychange', plan);
  return () => {
    over = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', plan);
  };
}
