/**
 * What lies over the page: dialogs and panels. The browser's Back closes the one on top, and leaves the page only when
 * there is none. For this each has an entry in the history, whose `overlay` says how many there are.
 */

/** Each closes itself; the last is on top. */
const overlays: (() => void)[] = [];
/** A step of our own through the history is under way: it closes nothing, and nothing is to be added before it ends. */
let stepping = false;

function entries(): number {
  return (history.state as { overlay?: number } | null)?.overlay ?? 0;
}

/** As many entries as overlays: what was closed otherwise than by Back leaves none, and Forward leads to none. */
function settle(): void {
  if (stepping) return;
  const more = entries() - overlays.length;
  if (more > 0) {
    stepping = true;
    history.go(-more);
  }
  for (let overlay = entries() + 1; overlay <= overlays.length; overlay += 1)
    history.pushState({ overlay }, '');
}

function onpopstate(): void {
  if (stepping) stepping = false;
  else while (overlays.length > entries()) overlays.pop()?.();
  settle();
}

/** Begin, with the page. One that is loaded again may stand at the entry of what it showed before. */
export function followHistory(): void {
  addEventListener('popstate', onpopstate);
  settle();
}

export interface Overlay {
  /** Nothing lies over it. */
  isOnTop: () => boolean;
  /** To be called when it is closed, however it was. */
  closed: () => void;
}

/** It has just opened, over all others. Back calls `close`. */
export function opened(close: () => void): Overlay {
  overlays.push(close);
  settle();
  return {
    isOnTop: () => overlays.at(-1) === close,
    closed: () => {
      const index = overlays.indexOf(close);
      if (index < 0) return;
      overlays.splice(index, 1);
      settle();
    },
  };
}
