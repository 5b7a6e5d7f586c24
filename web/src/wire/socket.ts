/** The connection: socket.io-client, with the contract's events as types and no buffering of its own. */
import { io, type Socket } from 'socket.io-client';
import { BASE } from './base';
import type { Auth, BanNotice, ClientToServer, Code, ServerToClient } from './types';

/** What comes with a CONNECT_ERROR. */
interface Refusal {
  code?: Code;
  retryAfter?: number;
  ban?: BanNotice;
}

/** What the connection reports. */
export interface WireListener {
  event<E extends keyof ServerToClient>(event: E, payload: ServerToClient[E]): void;
  /** Lost or not to be had; `retrying` when the next attempt comes by itself. */
  down(retrying: boolean): void;
  /** The server answered and said no; `retryAfter` in seconds, if it asks for a pause; `ban`: the guest is banned. */
  refused(code: Code | null, retryAfter: number | null, ban: BanNotice | null): void;
}

/** Asked at every attempt to connect, so that a reconnect carries what is known by then. */
export interface Caller {
  auth(): Auth;
  /** Of a server that is several processes, the one to connect to, if it still serves. */
  home(): string | null;
}

export class Wire {
  readonly #socket: Socket;
  readonly #caller: Caller;

  constructor(caller: Caller, listener: WireListener) {
    this.#caller = caller;
    this.#socket = io({
      autoConnect: false,
      path: `${BASE}socket.io/`,
      // Straight to WebSocket; long polling only where a proxy or a firewall leaves nothing else.
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 8000,
      auth: (give) => {
        give(caller.auth());
      },
    });
    this.#socket.onAny((event: keyof ServerToClient, payload: ServerToClient[typeof event]) => {
      listener.event(event, payload);
    });
    this.#socket.io.on('reconnect_attempt', () => {
      this.#aim();
    });
    this.#socket.on('disconnect', (reason) => {
      if (reason !== 'io client disconnect') listener.down(this.#socket.active);
    });
    this.#socket.on('connect_error', (error: Error & { data?: Refusal }) => {
      // An inactive socket was refused by the server; otherwise the network failed and it tries again.
      if (this.#socket.active) listener.down(true);
      else {
        const { code = null, retryAfter = null, ban = null } = error.data ?? {};
        listener.refused(code, retryAfter, ban);
      }
    });
  }

  /** The next attempt goes to where the guest lives by now. */
  #aim(): void {
    const at = this.#caller.home();
    this.#socket.io.opts.query = at === null ? {} : { at };
  }

  /** Connect now, whatever attempt is scheduled. */
  connect(): void {
    this.#socket.disconnect();
    this.#aim();
    this.#socket.connect();
  }

  disconnect(): void {
    this.#socket.disconnect();
  }

  /** Send if connected. What must survive a broken connection is kept and sent again by the caller. */
  emit<E extends keyof ClientToServer>(event: E, payload: ClientToServer[E]): void {
    if (this.#socket.connected) this.#socket.emit(event, payload);
  }
}
