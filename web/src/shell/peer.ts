/** One RTCPeerConnection, negotiated perfectly (WebRTC 1.0 §10.7), one step at a time. */
import type { IceCandidate, SessionDescription } from '../wire/types';

/** Said again when there is no answer: signals get lost with the connection that carries them. */
const ANSWER_WITHIN_MS = 6000;

export interface PeerListener {
  description(description: SessionDescription): void;
  candidate(candidate: IceCandidate | null): void;
  path(path: 'up' | 'down'): void;
  /** Tracks have come, gone, or fallen silent. */
  remote(): void;
  /** The other side is another one than before (their page was loaded anew); it may have sent an offer. */
  reborn(offer: SessionDescription | null): void;
}

/** What goes out. */
export interface Outgoing {
  audio: MediaStreamTrack | null;
  video: MediaStreamTrack | null;
}

type Kind = 'audio' | 'video';
const KINDS: readonly Kind[] = ['audio', 'video'];

export class Peer {
  readonly #pc: RTCPeerConnection;
  readonly #configuration: RTCConfiguration;
  /** Gives way when both offer at once; the server says who does. */
  polite: boolean;
  readonly #listener: PeerListener;
  /** Gives our tracks to the other side as belonging together. */
  readonly #group = new MediaStream();
  #outgoing: Outgoing;
  #early: RTCIceCandidateInit[] = [];
  /**
   * Our offer that is out while we are polite: set only with its answer, so that giving way takes no rollback.
   * After one, Chromium (156) shows no more pictures of the other, however often is negotiated again.
   */
  #held: RTCSessionDescriptionInit | null = null;
  #queue: Promise<void> = Promise.resolve();
  #unanswered: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(
    configuration: RTCConfiguration,
    polite: boolean,
    outgoing: Outgoing,
    listener: PeerListener,
  ) {
    this.#configuration = configuration;
    this.polite = polite;
    this.#outgoing = outgoing;
    this.#listener = listener;
    const pc = (this.#pc = new RTCPeerConnection(configuration));
    pc.onicecandidate = ({ candidate }) => {
      listener.candidate(candidate ? (candidate.toJSON() as IceCandidate) : null);
    };
    pc.onnegotiationneeded = () => {
      this.#next(() => this.#offer({}));
    };
    pc.onconnectionstatechange = () => {
      const { connectionState: state } = pc;
      if (state === 'connected') listener.path('up');
      else if (state === 'disconnected' || state === 'failed') listener.path('down');
    };
    pc.ontrack = ({ track }) => {
      track.onmute =
        track.onunmute =
        track.onended =
          () => {
            this.#tellRemote();
          };
      this.#tellRemote();
    };
  }

  /** Begin: what we have to send, and places for what is `wanted` of the other. */
  begin(wanted: readonly Kind[]): void {
    for (const kind of KINDS) {
      const track = this.#outgoing[kind];
      if (track) this.#pc.addTrack(track, this.#group);
      else if (wanted.includes(kind)) this.#pc.addTransceiver(kind, { direction: 'recvonly' });
    }
  }

  receive(description: SessionDescription): void {
    this.#next(() =>
      description.type === 'offer' ? this.#takeOffer(description) : this.#takeAnswer(description),
    );
  }

  receiveCandidate(candidate: IceCandidate | null): void {
    this.#next(async () => {
      if (!candidate) return;
      if (this.#pc.remoteDescription) await this.#add(candidate);
      else this.#early.push(candidate);
    });
  }

  /** Send other tracks, or none. */
  send(outgoing: Outgoing): void {
    this.#next(async () => {
      this.#outgoing = outgoing;
      await this.#attach();
    });
  }

  /** Look for another path, with these servers if given. */
  restart(changes: RTCConfiguration = {}): void {
    this.#next(async () => {
      // Before the first answer there is nothing to be restarted.
      if (!this.#pc.remoteDescription) return;
      this.#pc.setConfiguration(Object.assign(this.#configuration, changes));
      await this.#offer({ iceRestart: true });
    });
  }

  /** The offer that is out, once more. */
  resend(): void {
    this.#next(() => {
      const { signalingState, localDescription } = this.#pc;
      if (this.#held) this.#tell(this.#held);
      else if (signalingState === 'have-local-offer' && localDescription)
        this.#tell(localDescription);
      return Promise.resolve();
    });
  }

  /** The other's tracks that can be heard or seen now. */
  remote(): MediaStreamTrack[] {
    return this.#pc
      .getTransceivers()
      .filter(({ currentDirection: way }) => way === 'sendrecv' || way === 'recvonly')
      .map(({ receiver }) => receiver.track)
      .filter((track) => track.readyState === 'live');
  }

  stats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#unanswered);
    this.#pc.onicecandidate = null;
    this.#pc.onnegotiationneeded = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.ontrack = null;
    for (const { receiver } of this.#pc.getTransceivers()) {
      const { track } = receiver;
      track.onmute = track.onunmute = track.onended = null;
    }
    this.#pc.close();
  }

  // Steps that overlapped would each see the other's half-done work.
  #next(step: () => Promise<void>): void {
    this.#queue = this.#queue
      .then(() => (this.#closed ? undefined : step()))
      .catch((error: unknown) => {
        // A description that came too late for its state: the next negotiation sets it right.
        if (!(error instanceof DOMException) && !(error instanceof TypeError)) throw error;
      });
  }

  async #offer(options: RTCOfferOptions): Promise<void> {
    const pc = this.#pc;
    // An offer is out already; when it is answered this is asked again.
    if ((this.#held || pc.signalingState !== 'stable') && !options.iceRestart) return;
    const offer = await pc.createOffer(options);
    if (this.polite && pc.remoteDescription && pc.signalingState === 'stable') {
      this.#held = offer;
      this.#tell(offer);
      return;
    }
    await pc.setLocalDescription(offer);
    if (pc.localDescription) this.#tell(pc.localDescription);
  }

  #tell({ type, sdp }: RTCSessionDescriptionInit): void {
    if (this.#closed || !sdp || (type !== 'offer' && type !== 'answer')) return;
    this.#listener.description({ type, sdp });
    clearTimeout(this.#unanswered);
    // The first offer waits for a person, and the server watches the clock.
    if (type === 'answer' || !this.#pc.remoteDescription) return;
    this.#unanswered = setTimeout(() => {
      this.resend();
    }, ANSWER_WITHIN_MS);
  }

  async #takeOffer(offer: SessionDescription): Promise<void> {
    const pc = this.#pc;
    if (pc.signalingState !== 'stable' && !this.polite) return;
    if (pc.remoteDescription && identity(pc.remoteDescription) !== identity(offer)) {
      this.#listener.reborn(offer);
      return;
    }
    this.#held = null;
    await pc.setRemoteDescription(offer);
    await this.#attach();
    await pc.setLocalDescription();
    if (pc.localDescription) this.#tell(pc.localDescription);
    await this.#addEarly();
    this.#tellRemote();
  }

  async #takeAnswer(answer: SessionDescription): Promise<void> {
    const pc = this.#pc;
    if (!this.#held && pc.signalingState !== 'have-local-offer') return;
    const known = pc.currentRemoteDescription;
    if (known && identity(known) !== identity(answer)) {
      this.#listener.reborn(null);
      return;
    }
    clearTimeout(this.#unanswered);
    const held = this.#held;
    this.#held = null;
    if (held) await pc.setLocalDescription(held);
    await pc.setRemoteDescription(answer);
    await this.#addEarly();
    this.#tellRemote();
  }

  async #addEarly(): Promise<void> {
    const early = this.#early;
    this.#early = [];
    for (const candidate of early) await this.#add(candidate);
  }

  async #add(candidate: RTCIceCandidateInit): Promise<void> {
    // One of a negotiation that was given up leads nowhere, and hurts nobody.
    await this.#pc.addIceCandidate(candidate).catch(() => undefined);
  }

  /** Bring the senders in line with what is to go out. */
  async #attach(): Promise<void> {
    for (const kind of KINDS) {
      const track = this.#outgoing[kind];
      const place = this.#pc
        .getTransceivers()
        .find(({ receiver, direction }) => receiver.track.kind === kind && direction !== 'stopped');
      if (place) {
        if (place.sender.track !== track) await place.sender.replaceTrack(track);
        const direction = track ? 'sendrecv' : 'recvonly';
        if (place.direction !== direction) {
          place.sender.setStreams(this.#group);
          place.direction = direction;
        }
      } else if (track) {
        // Made even while an offer is answered: what has no place in it is offered next.
        this.#pc.addTrack(track, this.#group);
      }
    }
  }

  #tellRemote(): void {
    if (!this.#closed) this.#listener.remote();
  }
}

/** Who speaks: a page that is loaded anew has another certificate (RFC 8122 §5). */
function identity({ sdp }: { sdp: string }): string | undefined {
  return /^a=fingerprint:(.*)$/m.exec(sdp)?.[1]?.trim();
}
