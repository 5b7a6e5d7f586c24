/** One voice at a time: what begins to play silences what played before. */
let playing: HTMLMediaElement | null = null;

export function plays(element: HTMLMediaElement): void {
  if (playing !== element) playing?.pause();
  playing = element;
}

export function isGone(element: HTMLMediaElement): void {
  if (playing === element) playing = null;
}
