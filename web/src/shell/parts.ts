/** Parts of the page that are loaded when they are needed: calls, the recorder, the full view of a picture. */

/** A phone in a tunnel is out of it after a while; a part that the server no longer has never comes. */
const AGAIN_AFTER_MS = [500, 2500];

/** What `load` imports; tried again a few times. Raises what the last try did. */
export async function part<T>(load: () => Promise<T>, pauses = AGAIN_AFTER_MS): Promise<T> {
  for (const pause of pauses) {
    try {
      return await load();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return load();
}

/** Load them while nothing else is to be done, so that nobody waits for them later, nor misses a call offline. */
export function foresee(...loads: (() => Promise<unknown>)[]): void {
  const begin = (): void => {
    // What cannot be had now is asked for again when it is needed.
    for (const load of loads) load().catch(() => undefined);
  };
  // Safari has it not.
  if ('requestIdleCallback' in window) requestIdleCallback(begin, { timeout: 5000 });
  else setTimeout(begin, 1000);
}
