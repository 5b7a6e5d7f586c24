/** The way to calls, whose code is loaded when there is one: what comes before that waits here. */
import { NO_CALL, type Call, type CallKind } from '../chat/call';
import type { Room } from '../chat/conversation';
import type { State, WireEvent } from '../chat/state';
import { keptCall } from './call_storage';
import type { CallHost, Calls } from './calls.svelte';
import { part } from './parts';

export const loadCalls = (): Promise<typeof import('./calls.svelte')> => import('./calls.svelte');

/** Signals that wait at most; the server sends the rest again to who returns. */
const MOST_WAITING = 300;

export class CallDoor {
  readonly #host: CallHost;
  readonly #onmissing: () => void;
  #calls = $state.raw<Calls | null>(null);
  #opening: Promise<Calls | null> | null = null;
  #waiting: { room: string; input: WireEvent }[] = [];

  /** `onmissing`: the code cannot be had. */
  constructor(host: CallHost, onmissing: () => void) {
    this.#host = host;
    this.#onmissing = onmissing;
  }

  /** Null until there was a call. */
  get calls(): Calls | null {
    return this.#calls;
  }

  get call(): Call {
    return this.#calls?.call ?? NO_CALL;
  }

  /** The page opens, perhaps after a reload in the middle of a call. */
  boot(room: Room | null): void {
    if (room && keptCall()) void this.#open();
  }

  async start(kind: CallKind): Promise<void> {
    const room = roomOf(this.#host.state());
    const calls = await this.#open();
    if (room === roomOf(this.#host.state())) await calls?.start(kind);
  }

  hangUp(): void {
    this.#waiting = [];
    this.#calls?.hangUp();
  }

  follow(state: State): void {
    this.#calls?.follow(state);
  }

  signal(input: WireEvent): void {
    if (this.#calls) {
      this.#calls.signal(input);
      return;
    }
    const room = roomOf(this.#host.state());
    if (room === null) return;
    this.#waiting = [...this.#waiting, { room, input }].slice(-MOST_WAITING);
    void this.#open();
  }

  #open(): Promise<Calls | null> {
    this.#opening ??= this.#load();
    return this.#opening;
  }

  async #load(): Promise<Calls | null> {
    let code: Awaited<ReturnType<typeof loadCalls>>;
    try {
      code = await part(loadCalls);
    } catch {
      // The next call tries again.
      this.#opening = null;
      this.#onmissing();
      return null;
    }
    const state = this.#host.state();
    const calls = new code.Calls(this.#host);
    calls.boot(state.conversation);
    this.#calls = calls;
    calls.follow(state);
    const room = roomOf(state);
    for (const waiting of this.#waiting.splice(0))
      if (waiting.room === room) calls.signal(waiting.input);
    return calls;
  }
}

function roomOf({ conversation }: State): string | null {
  return conversation && !conversation.ending
    ? `${conversation.roomId} ${conversation.epoch}`
    : null;
}
