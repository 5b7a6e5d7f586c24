/** The microphone: from asking for it to a sound, and always let go of. */
import type { MicrophoneTrouble } from '../chat/recorder';
import { levelOf } from '../chat/waveform';

// Ogg first: the WebM of Firefox has neither lengths nor an index, and does not play everywhere.
const TYPES = ['audio/ogg;codecs=opus', 'audio/webm;codecs=opus', 'audio/mp4'];
/** At 48 kHz as long as it takes until the next look, so that no sound is missed in between. */
const WINDOW = 4096;
/** Enough for speech; five minutes are about a megabyte. */
const BITS_PER_SECOND = 32_000;

const TROUBLES: Partial<Record<string, MicrophoneTrouble>> = {
  NotAllowedError: 'mic_refused',
  SecurityError: 'mic_refused',
  NotFoundError: 'mic_absent',
  OverconstrainedError: 'mic_absent',
  NotReadableError: 'mic_in_use',
  AbortError: 'mic_in_use',
};

/** There is no recording, and why. */
export class MicrophoneError extends Error {
  readonly code: MicrophoneTrouble;

  constructor(code: MicrophoneTrouble) {
    super(code);
    this.name = 'MicrophoneError';
    this.code = code;
  }
}

/** A recording that goes on. */
export class Microphone {
  readonly #stream: MediaStream;
  readonly #recorder: MediaRecorder;
  #context: AudioContext | null;
  readonly #analyser: AnalyserNode | null;
  readonly #samples = new Float32Array(WINDOW);
  readonly #parts: Blob[] = [];

  /** Ask for the microphone and record; raises `MicrophoneError`. `onended`: it was taken from us, or broke. */
  static async open(onended: () => void): Promise<Microphone> {
    if (!isSecureContext) throw new MicrophoneError('mic_insecure');
    const type =
      'MediaRecorder' in window && TYPES.find((each) => MediaRecorder.isTypeSupported(each));
    // Older browsers have none of it, whatever the types say.
    if (!type || !('mediaDevices' in navigator)) throw new MicrophoneError('mic_unsupported');
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      const name = error instanceof DOMException ? error.name : '';
      throw new MicrophoneError(TROUBLES[name] ?? 'mic_failed');
    }
    try {
      return new Microphone(stream, type, onended);
    } catch {
      release(stream);
      throw new MicrophoneError('mic_failed');
    }
  }

  private constructor(stream: MediaStream, mimeType: string, onended: () => void) {
    this.#stream = stream;
    this.#recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
    this.#recorder.ondataavailable = ({ data }) => {
      this.#parts.push(data);
    };
    this.#recorder.onerror = onended;
    for (const track of stream.getTracks()) track.onended = onended;
    [this.#context, this.#analyser] = listen(stream);
    this.#recorder.start();
  }

  /** How loud it is right now, from 0 to 1. */
  level(): number {
    if (!this.#analyser) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return levelOf(this.#samples);
  }

  /** Let the microphone go; the sound is what was recorded until now. */
  async finish(): Promise<Blob> {
    if (this.#recorder.state !== 'inactive') {
      await new Promise((resolve) => {
        this.#recorder.onstop = resolve;
        this.#recorder.stop();
      });
    }
    this.close();
    return new Blob(this.#parts, { type: this.#recorder.mimeType });
  }

  /** Let the microphone go, whatever was recorded. */
  close(): void {
    if (this.#recorder.state !== 'inactive') this.#recorder.stop();
    release(this.#stream);
    // Until it is closed it does not say so, and Firefox complains of a second time.
    void this.#context?.close();
    this.#context = null;
  }
}

function release(stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}

/** For the level meter alone: without it the recording is as good. */
function listen(stream: MediaStream): [AudioContext, AnalyserNode] | [null, null] {
  try {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = WINDOW;
    context.createMediaStreamSource(stream).connect(analyser);
    // Safari begins suspended.
    context.resume().catch(() => undefined);
    return [context, analyser];
  } catch {
    return [null, null];
  }
}
