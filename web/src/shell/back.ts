/** The browser's Back closes what lies over the page first, and leaves the page only then. */

const overlays: (() => void)[] = [];
/** Steps back that are our own, and close nothing. */
let ours = 0;

function onpopstate(): void {
  if (ours > 0) ours -= 1;
  else overlays.pop()?.();
}

/** From now on Back calls `close`. Call what this returns when it is closed, however it was. */
export function closedByBack(close: () => void): () => void {
  if (overlays.length === 0) addEventListener('popstate', onpopstate);
  overlays.push(close);
  history.pushState({ overlay: overlays.length }, '');
  return () => {
    const index = overlays.indexOf(close);
    if (index < 0) return;
    overlays.splice(index, 1);
    ours += 1;
    history.back();
  };
}
