import { onMount } from 'svelte';
import { isOfNetwork } from './api';

/** Do something whenever the network returns, as long as the component is there. */
export function onReturn(work: () => void): void {
  onMount(() => {
    addEventListener('online', work);
    return () => {
      removeEventListener('online', work);
    };
  });
}

/** Something that a component asks of the server, and asks again when the network that was missing returns. */
export class Loading<T> {
  value = $state.raw<T | null>(null);
  error = $state.raw<unknown>(null);
  private turn = 0;

  /** `waits`: until `again` is called. */
  constructor(
    private readonly load: () => Promise<T>,
    { waits = false } = {},
  ) {
    if (!waits) void this.again();
    onReturn(() => {
      if (isOfNetwork(this.error)) void this.again();
    });
  }

  again = async (): Promise<void> => {
    const turn = ++this.turn;
    try {
      const value = await this.load();
      if (turn === this.turn) this.put(value);
    } catch (error) {
      if (turn === this.turn) this.error = error;
    }
  };

  /** This is it now; what is still asked for is older. */
  put(value: T): void {
    this.turn++;
    this.value = value;
    this.error = null;
  }
}
