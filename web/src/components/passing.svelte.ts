/** Time that passes while it is shown. */

const TICK_MS = 250;

const seen = new WeakMap<object, number>();

/** When `told` came, in ms of `performance.now()`: the server says how long, and a component may show it anew. */
export function since(told: object): number {
  const at = seen.get(told) ?? performance.now();
  seen.set(told, at);
  return at;
}

/** The time, in ms of `performance.now()`, as long as the component is there that makes it. */
export class Passing {
  #now = $state(performance.now());

  constructor() {
    $effect(() => {
      const timer = setInterval(() => {
        this.#now = performance.now();
      }, TICK_MS);
      return () => {
        clearInterval(timer);
      };
    });
  }

  /** Seconds since `told` came. */
  after(told: object): number {
    return Math.max(0, this.#now - since(told)) / 1000;
  }
}
