/** Runs the recorder's state machine: the microphone, the clock and the sound that comes of them. */
import { IDLE, record, type RecorderInput, type Recording } from '../chat/recorder';
import { peaksOf } from '../chat/waveform';
import type { Microphone } from './microphone';
import { part } from './parts';

export const loadMicrophone = (): Promise<typeof import('./microphone')> => import('./microphone');

/** How often the level is read, and the clock. */
const TICK_MS = 80;
/** The server takes no sound without a length. */
const SHORTEST_S = 0.1;

/** A finished recording. */
export interface Take {
  sound: Blob;
  /** For playing it here; gone when the take is sent or discarded. */
  url: string;
  /** Seconds. */
  duration: number;
  waveform: readonly number[];
}

export class Recorder {
  readonly #most: () => number;
  readonly #onsend: (take: Take) => void;
  #state: Recording = IDLE;
  #shown = $state.raw<Recording>(IDLE);
  #seconds = $state(0);
  #levels = $state.raw<readonly number[]>([]);
  #take = $state.raw<Take | null>(null);
  #microphone: Microphone | null = null;
  #clock: ReturnType<typeof setInterval> | undefined;
  /** Counts the recordings, so that what an old one brings late is known as such. */
  #turn = 0;

  /** `most`: how many seconds a voice note may last, as far as is known. */
  constructor(most: () => number, onsend: (take: Take) => void) {
    this.#most = most;
    this.#onsend = onsend;
  }

  get state(): Recording {
    return this.#shown;
  }

  /** It goes on as long as the button is held down. */
  get held(): boolean {
    return 'mode' in this.#shown && this.#shown.mode === 'held';
  }

  /** How many seconds it may last. */
  get most(): number {
    return this.#most();
  }

  /** How long the recording is so far. */
  get seconds(): number {
    return this.#seconds;
  }

  /** What was heard so far, from 0 to 1, in even steps of time. */
  get levels(): readonly number[] {
    return this.#levels;
  }

  get take(): Take | null {
    return this.#take;
  }

  dispatch(input: RecorderInput): void {
    const [state, effect] = record(this.#state, input, this.#most());
    this.#state = state;
    this.#shown = state;
    switch (effect) {
      case 'open':
        void this.#open();
        break;
      case 'finish':
        void this.#finish();
        break;
      case 'discard':
        this.#discard();
        break;
      case 'send':
        if (this.#take) this.#onsend(this.#take);
        this.#discard();
        break;
      case null:
        break;
    }
  }

  async #open(): Promise<void> {
    const turn = this.#turn;
    this.#seconds = 0;
    this.#levels = [];
    let code: Awaited<ReturnType<typeof loadMicrophone>>;
    try {
      code = await part(loadMicrophone);
    } catch {
      if (turn === this.#turn) this.dispatch({ type: 'failed', code: 'part_missing' });
      return;
    }
    if (turn !== this.#turn) return;
    let microphone: Microphone;
    try {
      microphone = await code.Microphone.open(() => {
        this.dispatch({ type: 'stop' });
      });
    } catch (error) {
      if (!(error instanceof code.MicrophoneError)) throw error;
      if (turn === this.#turn) this.dispatch({ type: 'failed', code: error.code });
      return;
    }
    if (turn !== this.#turn) {
      microphone.close();
      return;
    }
    this.#microphone = microphone;
    const since = performance.now();
    this.dispatch({ type: 'opened', now: since });
    this.#clock = setInterval(() => {
      const now = performance.now();
      this.#seconds = (now - since) / 1000;
      this.#levels = [...this.#levels, microphone.level()];
      this.dispatch({ type: 'tick', now });
    }, TICK_MS);
  }

  async #finish(): Promise<void> {
    const turn = this.#turn;
    clearInterval(this.#clock);
    const sound = await this.#microphone?.finish();
    if (turn !== this.#turn) return;
    if (!sound || sound.size === 0) {
      this.dispatch({ type: 'failed', code: 'mic_failed' });
      return;
    }
    this.#take = {
      sound,
      url: URL.createObjectURL(sound),
      duration: Math.min(this.#most(), Math.max(SHORTEST_S, this.#seconds)),
      waveform: peaksOf(this.#levels),
    };
    this.dispatch({ type: 'recorded' });
  }

  #discard(): void {
    this.#turn += 1;
    clearInterval(this.#clock);
    this.#microphone?.close();
    this.#microphone = null;
    if (this.#take) URL.revokeObjectURL(this.#take.url);
    this.#take = null;
  }
}
