/** Runs the call's state machine: devices, the peer connection, its signals, and what rings. */
import {
  factsOf,
  isJoined,
  NO_CALL,
  type Bring,
  type Call,
  type CallEffect,
  type CallInput,
  type CallKind,
  type CallRecord,
} from '../chat/call';
import { step } from '../chat/call_step';
import type { Room } from '../chat/conversation';
import type { Quality } from '../chat/quality';
import type { State, WireEvent } from '../chat/state';
import type { ClientToServer, IceCandidate, SessionDescription } from '../wire/types';
import { isolated, words } from '../words/spoken.svelte';
import { Alert, WakeLock } from './alerts';
import { CallMedia } from './call_media.svelte';
import { watchQuality } from './call_stats';
import * as storage from './call_storage';
import { DeviceError } from './devices';
import { Ice } from './ice.svelte';
import { Peer, type PeerListener } from './peer';
import { Ringer } from './ringer';

/** What a call needs of the client around it. */
export interface CallHost {
  state(): State;
  emit<E extends keyof ClientToServer>(event: E, payload: ClientToServer[E]): void;
  record(record: CallRecord): void;
}

type Farewell = 'webrtc:call-end' | 'webrtc:call-reject';

export class Calls {
  readonly #host: CallHost;
  readonly #ringer = new Ringer();
  readonly #alert = new Alert('passerby-call');
  readonly #wakeLock = new WakeLock();
  /** The truth; what Svelte shows is a copy, as in Passerby. */
  #state: Call = NO_CALL;
  #shown = $state.raw<Call>(NO_CALL);
  #remote = $state.raw<MediaStream | null>(null);
  #seesOther = $state(false);
  #quality = $state<Quality>('good');
  /** The other's page was loaded anew: until they join again there is nobody at the other end. */
  #otherReloaded = $state(false);

  #peer: Peer | null = null;
  #room: string | null = null;
  #ready = false;
  /** The other's offer, until it is taken. */
  #offer: { callId: string; offer: SessionDescription } | null = null;
  /** Our candidates, until the call has a name. */
  #nameless: (IceCandidate | null)[] = [];
  /** What the server must still be told, once it can be. */
  #owed: [Farewell, string | null][] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unwatch: (() => void) | null = null;
  /** Counts the calls, so that what comes late for an old one is known as such. */
  #turn = 0;

  readonly ice = new Ice(() => this.#host.state().token);
  readonly media = new CallMedia(() => {
    this.#peer?.send(this.media.outgoing);
  });

  constructor(host: CallHost) {
    this.#host = host;
  }

  get call(): Call {
    return this.#shown;
  }

  /** What the other sends; null without a connection. */
  get remote(): MediaStream | null {
    return this.#remote;
  }

  /** There are pictures of the other. */
  get seesOther(): boolean {
    return this.#seesOther;
  }

  get quality(): Quality {
    return this.#quality;
  }

  get otherReloaded(): boolean {
    return this.#otherReloaded;
  }

  /** Hide the guest's address from the other, or no longer: then from the next call on. */
  hide(hide: boolean): void {
    this.ice.hide(hide);
    if (hide && isJoined(this.#state)) this.#peer?.restart({ iceTransportPolicy: 'relay' });
  }

  /** The page opens, perhaps after a reload in the middle of a call. */
  boot(room: Room | null): void {
    const kept = storage.keptCall();
    this.#room = keyOf(room);
    if (kept && keyOf(kept) === this.#room) this.dispatch({ type: 'found', rejoin: kept.rejoin });
    else storage.keepCall(null);
    addEventListener('online', () => {
      this.dispatch({ type: 'network' });
    });
    addEventListener('pagehide', () => {
      this.#leave();
    });
  }

  async start(kind: CallKind): Promise<void> {
    const room = this.#room;
    // Whether there is a choice to be made is known only now; what fails here is said when it matters.
    await this.ice.configuration().catch(() => undefined);
    if (room !== this.#room) return;
    const look = !storage.hasLooked() && (kind === 'video' || this.ice.hiding === 'off');
    this.dispatch({ type: 'call', kind, look });
  }

  answer(bring: Bring): void {
    this.dispatch({ type: 'answer', bring, look: bring === 'video' && !storage.hasLooked() });
  }

  join(): void {
    if (this.#state.at === 'preparing' && this.#state.bring === 'video') storage.looked();
    this.dispatch({ type: 'join', now: performance.now() });
  }

  hangUp(): void {
    this.dispatch({ type: 'hangUp', now: performance.now() });
  }

  dispatch(input: CallInput): void {
    const before = this.#state;
    const [state, effects] = step(before, input);
    this.#state = state;
    this.#shown = state;
    for (const effect of effects) this.#run(effect);
    // An effect may have led further; then that has been shown.
    if (this.#state === state && before !== state) this.#show(before, state);
  }

  /** What has become of the conversation around the call. */
  follow({ conversation, ready, view }: State): void {
    const room = conversation && !conversation.ending ? keyOf(conversation) : null;
    if (room !== this.#room || view !== 'conversation') {
      this.#room = room;
      this.#owed = [];
      this.dispatch({ type: 'over', now: performance.now() });
    }
    if (conversation?.partnerReloaded && isJoined(this.#state)) this.#otherReloaded = true;
    const back = ready && !this.#ready;
    this.#ready = ready;
    if (!back) return;
    for (const [event, callId] of this.#owed.splice(0)) this.#farewell(event, callId);
    this.dispatch({ type: 'signals' });
  }

  signal({ event, payload }: WireEvent): void {
    const now = performance.now();
    switch (event) {
      case 'webrtc:ringing': {
        const { callId, type: kind, polite } = payload;
        this.dispatch({ type: 'named', callId, kind, polite });
        if (this.#peer) this.#peer.polite = polite;
        this.#named();
        break;
      }
      case 'webrtc:offer': {
        const { callId, type: kind, polite, offer } = payload;
        if (this.#peer && factsOf(this.#state)?.callId === callId) this.#peer.receive(offer);
        else {
          this.#offer = { callId, offer };
          this.dispatch({ type: 'offered', callId, kind, polite, now });
        }
        break;
      }
      case 'webrtc:answer':
        this.dispatch({ type: 'answered', callId: payload.callId, now });
        if (factsOf(this.#state)?.callId !== payload.callId) break;
        this.#peer?.receive(payload.answer);
        this.#named();
        break;
      case 'webrtc:ice-candidate':
        if (factsOf(this.#state)?.callId === payload.callId)
          this.#peer?.receiveCandidate(payload.candidate);
        break;
      case 'webrtc:call-end':
        this.dispatch({ type: 'ended', callId: payload.callId, how: 'end', now });
        break;
      case 'webrtc:call-reject':
        this.dispatch({ type: 'ended', callId: payload.callId, how: 'reject', now });
        break;
      case 'webrtc:call-timeout':
        this.dispatch({ type: 'ended', callId: payload.callId, how: 'timeout', now });
        break;
      case 'webrtc:error':
        this.dispatch({ type: 'refused', code: payload.code, now });
        break;
      default:
    }
  }

  #show(before: Call, state: Call): void {
    const rings = state.at === 'ringing';
    this.#ringer.play(rings ? 'ring' : state.at === 'calling' ? 'ringback' : null);
    if (rings && before.at !== 'ringing') {
      const name = this.#host.state().conversation?.partner.username ?? '';
      this.#alert.show(words().call.calls(isolated(name), state.facts.kind));
      // Whether an address can be hidden is to be known before the call is taken.
      this.ice.configuration().catch(() => undefined);
    }
    if (!rings) this.#alert.hide();
    this.#wakeLock.hold(isJoined(state));
    this.#keep(state);
  }

  #keep(state: Call): void {
    const { conversation } = this.#host.state();
    const facts = isJoined(state) ? factsOf(state) : state.at === 'idle' ? state.rejoin : null;
    if (facts?.callId && conversation) {
      const { roomId, epoch } = conversation;
      storage.keepCall({ roomId, epoch, rejoin: { ...facts, callId: facts.callId } });
    } else storage.keepCall(null);
  }

  #run(effect: CallEffect): void {
    switch (effect.do) {
      case 'open':
        void this.#open(effect.bring);
        break;
      case 'place':
        void this.#connect(null);
        break;
      case 'take':
      case 'rejoin':
        void this.#connect(this.#offerOf(factsOf(this.#state)?.callId));
        break;
      case 'resend':
        this.#peer?.resend();
        break;
      case 'restart':
        void this.#restart(effect.how);
        break;
      case 'connected': {
        const callId = factsOf(this.#state)?.callId;
        if (callId) this.#host.emit('webrtc:connected', { callId });
        break;
      }
      case 'hangUp':
        this.#farewell(
          effect.how === 'end' ? 'webrtc:call-end' : 'webrtc:call-reject',
          effect.callId,
        );
        break;
      case 'close':
        this.#close();
        break;
      case 'timer':
        clearTimeout(this.#timer);
        if (effect.ms === null) break;
        this.#timer = setTimeout(() => {
          this.dispatch({ type: 'tick', now: performance.now() });
        }, effect.ms);
        break;
      case 'record':
        this.#host.record(effect.record);
        break;
    }
  }

  async #open(bring: Bring): Promise<void> {
    try {
      if (await this.media.open(bring)) this.dispatch({ type: 'opened', now: performance.now() });
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      this.dispatch({ type: 'trouble', code: error.code });
    }
  }

  /** Make the connection: with the other's offer, or by offering. */
  async #connect(offer: SessionDescription | null): Promise<void> {
    this.#dropPeer();
    const turn = this.#turn;
    let configuration: RTCConfiguration;
    try {
      configuration = await this.ice.configuration();
    } catch {
      if (turn === this.#turn)
        this.dispatch({ type: 'impossible', notice: 'unreachable', now: performance.now() });
      return;
    }
    const facts = factsOf(this.#state);
    if (turn !== this.#turn || !facts) return;
    const peer = new Peer(configuration, facts.polite, this.media.outgoing, this.#listener());
    this.#peer = peer;
    this.#remote = new MediaStream();
    this.#unwatch = watchQuality(peer, (quality) => {
      this.#quality = quality;
    });
    if (offer) peer.receive(offer);
    else peer.begin(facts.kind === 'video' ? ['audio', 'video'] : ['audio']);
  }

  #offerOf(callId: string | null | undefined): SessionDescription | null {
    return this.#offer && this.#offer.callId === callId ? this.#offer.offer : null;
  }

  #listener(): PeerListener {
    return {
      description: ({ type, sdp }) => {
        const facts = factsOf(this.#state);
        if (!facts) return;
        const callId = facts.callId === null ? {} : { callId: facts.callId };
        const relay = this.ice.hiding === 'on' ? { relayOnly: true } : {};
        if (type === 'answer') {
          this.#host.emit('webrtc:answer', { answer: { type, sdp }, ...callId, ...relay });
        } else {
          const kind = this.media.outgoing.video ? 'video' : facts.kind;
          this.#host.emit('webrtc:offer', {
            offer: { type, sdp },
            type: kind,
            ...callId,
            ...relay,
          });
        }
      },
      candidate: (candidate) => {
        this.#nameless.push(candidate);
        this.#named();
      },
      path: (path) => {
        this.dispatch({ type: 'path', path, now: performance.now() });
      },
      remote: () => {
        this.#showRemote();
      },
      reborn: (offer) => {
        this.dispatch({ type: 'path', path: 'down', now: performance.now() });
        void this.#connect(offer);
      },
    };
  }

  /** Send the candidates if the call has a name. */
  #named(): void {
    const callId = factsOf(this.#state)?.callId;
    if (!callId) return;
    for (const candidate of this.#nameless.splice(0)) {
      this.#host.emit('webrtc:ice-candidate', { candidate, callId });
    }
  }

  #showRemote(): void {
    const tracks = this.#peer?.remote() ?? [];
    const stream = this.#remote;
    if (!stream) return;
    for (const track of stream.getTracks()) if (!tracks.includes(track)) stream.removeTrack(track);
    for (const track of tracks) stream.addTrack(track);
    this.#seesOther = tracks.some(({ kind, muted }) => kind === 'video' && !muted);
  }

  async #restart(how: 'any' | 'relay' | 'sound'): Promise<void> {
    if (how === 'sound') this.media.soundOnly();
    const peer = this.#peer;
    // The old credentials may do; without the server there is no restart anyway.
    const fresh = await this.ice.configuration().catch(() => ({}));
    const relay = how !== 'any' && this.ice.hasTurn;
    peer?.restart(relay ? { ...fresh, iceTransportPolicy: 'relay' } : fresh);
  }

  /** The page goes. If it comes back a call can be taken or joined again; but whoever rings and goes is gone. */
  #leave(): void {
    if (this.#state.at === 'calling') this.hangUp();
    const callId = factsOf(this.#state)?.callId;
    if (callId && this.#ready) this.#host.emit('webrtc:leaving', { callId });
    // How long it has lasted is known only now.
    this.#keep(this.#state);
    this.media.close();
  }

  #farewell(event: Farewell, callId: string | null): void {
    if (!this.#ready) this.#owed.push([event, callId]);
    else this.#host.emit(event, callId === null ? {} : { callId });
  }

  #dropPeer(): void {
    this.#turn += 1;
    this.#unwatch?.();
    this.#unwatch = null;
    this.#peer?.close();
    this.#peer = null;
    this.#remote = null;
    this.#seesOther = false;
    this.#otherReloaded = false;
    this.#quality = 'good';
    this.#nameless = [];
  }

  #close(): void {
    this.#dropPeer();
    this.media.close();
  }
}

function keyOf(room: { roomId: string; epoch: number } | null): string | null {
  return room && `${room.roomId} ${room.epoch}`;
}
