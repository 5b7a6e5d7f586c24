/** Told again while typing goes on, well inside the time after which the partner's client forgets it. */
const REPEAT_MS = 4000;
/** A pause this long is no longer typing. */
const IDLE_MS = 3000;
/** Whoever fires off short messages is not announced for each at once: the server counts these signals. */
const AT_MOST_EVERY_MS = 1000;

/** Turns keystrokes into the few typing signals that the partner needs. */
export class TypingSignal {
  readonly #signal: (active: boolean) => void;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #later: ReturnType<typeof setTimeout> | undefined;
  #active = false;
  #told = -Infinity;

  constructor(signal: (active: boolean) => void) {
    this.#signal = signal;
  }

  keystroke(): void {
    clearTimeout(this.#later);
    const wait = this.#told + (this.#active ? REPEAT_MS : AT_MOST_EVERY_MS) - performance.now();
    if (wait <= 0) this.#start();
    else if (!this.#active) {
      this.#later = setTimeout(() => {
        this.#start();
      }, wait);
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.stop();
    }, IDLE_MS);
  }

  stop(): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#later);
    if (!this.#active) return;
    this.#active = false;
    this.#signal(false);
  }

  #start(): void {
    this.#active = true;
    this.#told = performance.now();
    this.#signal(true);
  }
}
