/** What is heard and felt of a call before it is taken: made here, so that no file need be loaded. */

type Sound = 'ring' | 'ringback';

/** Hertz and milliseconds: two soft bells for who is called, one low tone for who calls. */
const SOUNDS: Record<Sound, { tones: readonly (readonly [number, number])[]; every: number }> = {
  ring: {
    tones: [
      [659, 0],
      [880, 180],
      [659, 520],
      [880, 700],
    ],
    every: 3000,
  },
  ringback: { tones: [[425, 0]], every: 4000 },
};
const LOUDNESS: Record<Sound, number> = { ring: 0.2, ringback: 0.05 };
const VIBRATION = [300, 150, 300];

export class Ringer {
  #playing: Sound | null = null;
  #context: AudioContext | null = null;
  #clock: ReturnType<typeof setInterval> | undefined;

  play(sound: Sound | null): void {
    if (sound === this.#playing) return;
    this.#stop();
    this.#playing = sound;
    if (!sound) return;
    // Where nobody has touched the page yet, browsers refuse both, and complain in the console.
    if (!('userActivation' in navigator) || !navigator.userActivation.hasBeenActive) return;
    try {
      this.#context = new AudioContext();
    } catch {
      // Without sound there are still the picture, the title and the vibration.
    }
    const once = (): void => {
      this.#once(sound);
    };
    once();
    this.#clock = setInterval(once, SOUNDS[sound].every);
  }

  #once(sound: Sound): void {
    if (sound === 'ring' && 'vibrate' in navigator) navigator.vibrate(VIBRATION);
    const context = this.#context;
    if (!context) return;
    context.resume().catch(() => undefined);
    for (const [pitch, delay] of SOUNDS[sound].tones) {
      const [from, length] = [context.currentTime + delay / 1000, sound === 'ring' ? 0.5 : 1];
      const tone = new OscillatorNode(context, { frequency: pitch, type: 'sine' });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setValueAtTime(0.0001, from);
      gain.gain.exponentialRampToValueAtTime(LOUDNESS[sound], from + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, from + length);
      tone.connect(gain).connect(context.destination);
      tone.start(from);
      tone.stop(from + length);
    }
  }

  #stop(): void {
    clearInterval(this.#clock);
    if (this.#context && 'vibrate' in navigator) navigator.vibrate(0);
    void this.#context?.close();
    this.#context = null;
  }
}
