/** Short sounds for news, made here, so that no file need be loaded; and the switch that silences them. */
import type { News } from '../chat/news';

const KEY = 'passerby.sound';

/** Hertz and ms: somebody comes, somebody speaks, or asks, somebody goes. */
const SOUNDS: Record<News['what'], readonly (readonly [number, number])[]> = {
  matched: [
    [523, 0],
    [784, 140],
  ],
  message: [[659, 0]],
  asked: [
    [659, 0],
    [784, 140],
  ],
  ended: [
    [523, 0],
    [392, 160],
  ],
};
const LOUDNESS = 0.12;
const TONE_S = 0.35;
/** Of many messages in a row one is heard. */
const AT_MOST_EVERY_MS = 2000;

function remembered(): boolean {
  try {
    return localStorage.getItem(KEY) !== 'off';
  } catch {
    return true;
  }
}

let on = $state(remembered());
let last = -Infinity;

export function soundIsOn(): boolean {
  return on;
}

export function switchSound(wanted: boolean): void {
  on = wanted;
  try {
    if (wanted) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, 'off');
  } catch {
    // Storage may be forbidden or full: then the choice lasts as long as the page.
  }
}

export function sound(what: News['what']): void {
  // Where nobody has touched the page yet, browsers refuse, and complain in the console.
  if (!on || !('userActivation' in navigator) || !navigator.userActivation.hasBeenActive) return;
  if (what === 'message') {
    const now = performance.now();
    if (now - last < AT_MOST_EVERY_MS) return;
    last = now;
  }
  let context: AudioContext;
  try {
    context = new AudioContext();
  } catch {
    // There are still the title and the notification.
    return;
  }
  context.resume().catch(() => undefined);
  let tone: OscillatorNode | null = null;
  for (const [frequency, delay] of SOUNDS[what]) {
    const from = context.currentTime + delay / 1000;
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0.0001, from);
    gain.gain.exponentialRampToValueAtTime(LOUDNESS, from + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, from + TONE_S);
    tone = new OscillatorNode(context, { frequency });
    tone.connect(gain).connect(context.destination);
    tone.start(from);
    tone.stop(from + TONE_S);
  }
  if (tone) tone.onended = () => void context.close();
}
