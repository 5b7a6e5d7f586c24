/** The clock of a case against the operator's target. */

export interface Due {
  /** Seconds, never below 0. */
  seconds: number;
  isLate: boolean;
  /** Less than a quarter of the time from `opened` is left. */
  isSoon: boolean;
}

/** How a case stands at `now` (milliseconds). */
export function dueOf(line: { openedAt: string; dueAt: string }, now: number): Due {
  const due = Date.parse(line.dueAt);
  const left = (due - now) / 1000;
  const whole = (due - Date.parse(line.openedAt)) / 1000;
  return { seconds: Math.abs(left), isLate: left < 0, isSoon: left >= 0 && left < whole / 4 };
}
