/** What a guest brings into a call: microphone, camera, screen; shown to themselves, and always let go of. */
import type { Bring, MediaNotice } from '../chat/call';
import {
  DeviceError,
  listDevices,
  NO_DEVICES,
  open,
  openCamera,
  openMicrophone,
  openScreen,
  release,
  type Choice,
  type Devices,
} from './devices';
import type { Outgoing } from './peer';

export class CallMedia {
  readonly #onchange: () => void;
  #choice: Choice = {};
  /** Counts what was asked for, so that what comes too late is let go of. */
  #turn = 0;
  #microphone = $state.raw<MediaStreamTrack | null>(null);
  #camera = $state.raw<MediaStreamTrack | null>(null);
  #screen = $state.raw<MediaStreamTrack | null>(null);
  #muted = $state(false);
  #devices = $state.raw<Devices>(NO_DEVICES);
  /** A device is being opened: to ask once more would only confuse. */
  #busy = false;
  notice = $state<MediaNotice | null>(null);
  speaker = $state('');

  /** `onchange`: other tracks are to go out. */
  constructor(onchange: () => void) {
    this.#onchange = onchange;
    if ('mediaDevices' in navigator) {
      navigator.mediaDevices.addEventListener('devicechange', () => {
        if (this.#microphone || this.#camera) void this.#list();
      });
    }
  }

  get outgoing(): Outgoing {
    return { audio: this.#microphone, video: this.#screen ?? this.#camera };
  }

  get muted(): boolean {
    return this.#muted;
  }

  get hasMicrophone(): boolean {
    return this.#microphone !== null;
  }

  get camera(): MediaStreamTrack | null {
    return this.#camera;
  }

  get screen(): MediaStreamTrack | null {
    return this.#screen;
  }

  get devices(): Devices {
    return this.#devices;
  }

  /** The camera looks away from the guest: the picture is not to be mirrored. */
  get looksAway(): boolean {
    return this.#camera?.getSettings().facingMode === 'environment';
  }

  chosen(kind: 'microphone' | 'camera'): string {
    const track = kind === 'microphone' ? this.#microphone : this.#camera;
    return track?.getSettings().deviceId ?? '';
  }

  /** Raises `DeviceError`. False when it is no longer wanted. */
  async open(bring: Bring): Promise<boolean> {
    this.close();
    const turn = this.#turn;
    const stream = await open(bring, this.#choice);
    if (turn !== this.#turn) {
      release(stream);
      return false;
    }
    this.#takeMicrophone(stream.getAudioTracks()[0] ?? null);
    this.#takeCamera(stream.getVideoTracks()[0] ?? null);
    void this.#list();
    return true;
  }

  toggleMute(): void {
    if (!this.#microphone) {
      void this.useMicrophone(this.#choice.microphone);
      return;
    }
    this.#muted = !this.#muted;
    this.#microphone.enabled = !this.#muted;
  }

  async toggleCamera(): Promise<void> {
    if (this.#camera) {
      this.#takeCamera(null);
      this.#onchange();
    } else await this.#reopen('camera');
  }

  async useMicrophone(id: string | undefined): Promise<void> {
    this.#choice.microphone = id;
    await this.#reopen('mic');
  }

  async useCamera(id: string | undefined): Promise<void> {
    this.#choice.camera = id;
    await this.#reopen('camera');
  }

  /** The camera on the other side of the phone. */
  async flip(): Promise<void> {
    this.#choice.facing = this.looksAway ? 'user' : 'environment';
    await this.useCamera(undefined);
  }

  async toggleScreen(): Promise<void> {
    if (this.#screen) {
      this.#takeScreen(null);
      this.#onchange();
      return;
    }
    const turn = this.#turn;
    const track = await openScreen();
    if (!track || turn !== this.#turn) {
      release(track);
      return;
    }
    track.contentHint = 'detail';
    this.#takeScreen(track);
    this.#onchange();
  }

  /** The path is too narrow for pictures. */
  soundOnly(): void {
    if (!this.#camera && !this.#screen) return;
    this.#takeScreen(null);
    this.#takeCamera(null);
    this.notice = 'pictures_off';
    this.#onchange();
  }

  close(): void {
    this.#turn += 1;
    this.#takeMicrophone(null);
    this.#takeCamera(null);
    this.#takeScreen(null);
    this.#muted = false;
    this.#busy = false;
    this.notice = null;
  }

  async #reopen(device: 'mic' | 'camera'): Promise<void> {
    if (this.#busy) return;
    const turn = this.#turn;
    this.#busy = true;
    this.notice = null;
    // Phones open no second camera beside the first, and some computers no second microphone.
    if (device === 'camera') this.#takeCamera(null);
    else this.#takeMicrophone(null);
    try {
      const ask = device === 'camera' ? openCamera : openMicrophone;
      const stream = await ask(this.#choice);
      if (turn !== this.#turn) {
        release(stream);
        return;
      }
      if (device === 'camera') this.#takeCamera(stream.getVideoTracks()[0] ?? null);
      else this.#takeMicrophone(stream.getAudioTracks()[0] ?? null);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      if (turn === this.#turn) this.notice = error.code;
    } finally {
      if (turn === this.#turn) this.#busy = false;
    }
    if (turn !== this.#turn) return;
    this.#onchange();
    void this.#list();
  }

  #takeMicrophone(track: MediaStreamTrack | null): void {
    if (this.#microphone !== track) release(this.#microphone);
    this.#microphone = track;
    if (!track) return;
    track.enabled = !this.#muted;
    track.onended = () => {
      void this.#microphoneGone();
    };
  }

  async #microphoneGone(): Promise<void> {
    // Another one may be there: to be heard matters more than by which.
    await this.useMicrophone(undefined);
    this.notice = this.#microphone ? 'mic_replaced' : 'mic_gone';
  }

  #takeCamera(track: MediaStreamTrack | null): void {
    if (this.#camera !== track) release(this.#camera);
    this.#camera = track;
    if (!track) return;
    track.onended = () => {
      this.#choice.camera = undefined;
      this.#takeCamera(null);
      this.notice = 'camera_gone';
      this.#onchange();
    };
  }

  #takeScreen(track: MediaStreamTrack | null): void {
    if (this.#screen !== track) release(this.#screen);
    this.#screen = track;
    if (!track) return;
    // Stopped by the browser's own button.
    track.onended = () => {
      this.#takeScreen(null);
      this.#onchange();
    };
  }

  async #list(): Promise<void> {
    this.#devices = await listDevices();
  }
}
