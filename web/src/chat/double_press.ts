/** A key pressed twice in a row means it; pressed once, it may have been a slip. */
export class DoublePress {
  static readonly WITHIN_MS = 1500;
  #last = -Infinity;

  /** Tell of a press at `now` (ms); true when it is the second of a pair. */
  press(now: number): boolean {
    const pair = now - this.#last <= DoublePress.WITHIN_MS;
    this.#last = pair ? -Infinity : now;
    return pair;
  }
}
