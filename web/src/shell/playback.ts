/** One voice at a time: what begins to play silences what played before. */
let playing: HTMLMediaElement | null = null;

export function plays(element: HTMLMediaElement): void {
  if (playing !== element) playing?.pause();
  playing = element;
}

export function isGone(element: HTMLMediaElement): void {
  if (playing === element) playing = null;
}

/** Why a picture, sound or film is not to be seen or heard: not this browser's kind, gone, or not to be had now. */
export type Unplayed = 'unplayable' | 'gone' | 'unreachable';

/** Ask for a little of it: elements do not tell the one from the other. */
export async function whyNot(url: string): Promise<Unplayed> {
  try {
    const answer = await fetch(url, { headers: { Range: 'bytes=0-0' } });
    await answer.body?.cancel();
    if (answer.ok) return 'unplayable';
    return answer.status >= 500 ? 'unreachable' : 'gone';
  } catch {
    return 'unreachable';
  }
}
