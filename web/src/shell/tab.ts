/**
 * Every tab is a guest of its own, a duplicated one too: browsers copy the session storage, and with it
 * the session. A tab has a number, and whoever finds its number in use is a copy and begins anew.
 */

const KEY = 'passerby.tab';
const OURS = 'passerby.';
/** A page that is loaded again may begin before its predecessor has ended. */
const RELOAD_MS = 2000;
const OTHERWISE_MS = 700;
/** Where there are no locks, the other is asked. */
const ANSWER_MS = 250;

export async function claimTab(): Promise<void> {
  try {
    const number = sessionStorage.getItem(KEY);
    if (number !== null && (await isFree(number))) return;
    if (number !== null) forget();
    const own = Array.from(crypto.getRandomValues(new Uint32Array(3))).join('-');
    sessionStorage.setItem(KEY, own);
    await isFree(own);
  } catch {
    // Storage may be forbidden: then nothing is copied either.
  }
}

function forget(): void {
  for (const key of Object.keys(sessionStorage))
    if (key.startsWith(OURS)) sessionStorage.removeItem(key);
}

/** Nobody else has this number; from now on we do. */
function isFree(number: string): Promise<boolean> {
  return 'locks' in navigator ? locked(number) : unanswered(number);
}

function locked(number: string): Promise<boolean> {
  const [entry] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  const signal = AbortSignal.timeout(entry?.type === 'reload' ? RELOAD_MS : OTHERWISE_MS);
  return new Promise((resolve) => {
    navigator.locks
      .request(`${OURS}tab ${number}`, { signal }, () => {
        resolve(true);
        // Held as long as the page lives.
        return new Promise(() => undefined);
      })
      .catch(() => {
        resolve(false);
      });
  });
}

function unanswered(number: string): Promise<boolean> {
  // Browsers know locks only on secure pages. Older ones have neither: there a copy is the same guest.
  if (!('BroadcastChannel' in window)) return Promise.resolve(true);
  const channel = new BroadcastChannel(`${OURS}tab ${number}`);
  return new Promise((resolve) => {
    const settle = (free: boolean): void => {
      clearTimeout(timer);
      if (free)
        channel.onmessage = ({ data }) => {
          if (data === 'anybody?') channel.postMessage('taken');
        };
      else channel.close();
      resolve(free);
    };
    const timer = setTimeout(() => {
      settle(true);
    }, ANSWER_MS);
    channel.onmessage = ({ data }) => {
      if (data === 'taken') settle(false);
    };
    channel.postMessage('anybody?');
  });
}
