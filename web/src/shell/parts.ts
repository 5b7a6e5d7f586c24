/** Parts of the page that are loaded when they are needed, each by a function that imports it. */

/** A phone in a tunnel is out of it after a while; a part that the server no longer has never comes. */
const AGAIN_AFTER_MS = [500, 2500];

type Load<T> = () => Promise<T>;

const there = new Map<Load<unknown>, unknown>();

async function get<T>(load: Load<T>): Promise<T> {
  const code = await load();
  there.set(load, code);
  return code;
}

/** What `load` has imported already. */
export function loaded<T>(load: Load<T>): T | undefined {
  return there.get(load) as T | undefined;
}

/** What `load` imports; tried again a few times. Raises what the last try did. */
export async function part<T>(load: Load<T>, pauses = AGAIN_AFTER_MS): Promise<T> {
  for (const pause of pauses) {
    try {
      return await get(load);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return get(load);
}

/** Load it before it is needed. If it cannot be had now, it is asked for again when it is. */
export async function ahead(load: Load<unknown>): Promise<void> {
  await get(load).catch(() => undefined);
}

/** Load them while nothing else is to be done, so that nobody waits for them later, nor misses a call offline. */
export function foresee(...loads: Load<unknown>[]): void {
  const begin = (): void => {
    for (const load of loads) void ahead(load);
  };
  // Safari has it not.
  if ('requestIdleCallback' in window) requestIdleCallback(begin, { timeout: 5000 });
  else setTimeout(begin, 1000);
}
