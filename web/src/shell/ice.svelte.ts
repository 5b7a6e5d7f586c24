/** How the two may find each other: servers as our server names them, and whether a guest hides their address. */
import type { IceServers } from '../wire/types';
import * as api from './api';
import { hideAddress, hidesAddress } from './call_storage';

export class Ice {
  readonly #token: () => string | null;
  #servers = $state.raw<IceServers | null>(null);
  #hides = $state(hidesAddress());
  /** When to ask anew. Ms of `performance.now()`. */
  #until = 0;

  constructor(token: () => string | null) {
    this.#token = token;
  }

  get hasTurn(): boolean {
    const servers = this.#servers?.iceServers ?? [];
    return servers.some(({ urls }) => urls.some((url) => /^turns?:/.test(url)));
  }

  /** `always`: the operator wants it so. `no`: without a TURN server there is no choice. */
  get hiding(): 'no' | 'off' | 'on' | 'always' {
    if (this.#servers?.iceTransportPolicy === 'relay') return 'always';
    if (!this.hasTurn) return 'no';
    return this.#hides ? 'on' : 'off';
  }

  hide(hide: boolean): void {
    this.#hides = hide;
    hideAddress(hide);
  }

  /** For an RTCPeerConnection; raises `ApiError`. */
  async configuration(): Promise<RTCConfiguration> {
    const token = this.#token();
    if (!this.#servers || performance.now() >= this.#until) {
      if (token === null) throw new api.ApiError('token_required');
      this.#servers = await api.iceServers(token);
      // Halfway: a call that begins now is to be able to restart with them.
      this.#until = performance.now() + (this.#servers.ttl / 2) * 1000;
    }
    const relay = this.hiding === 'on' || this.hiding === 'always';
    return {
      iceServers: this.#servers.iceServers,
      iceTransportPolicy: relay ? 'relay' : 'all',
    };
  }
}
