/** What a phone held upright has left above its keyboard. */
const LOW_PX = 520;

/**
 * Keep `--viewport-height` at what the on-screen keyboard leaves. iOS lays its keyboard over the page
 * and 100dvh does not notice; without this the composer would hide behind it.
 */
export function followViewport(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const follow = (): void => {
    // Pinch zoom shrinks the visual viewport too; that is not the keyboard's doing.
    const height = viewport.height * viewport.scale;
    document.documentElement.style.setProperty('--viewport-height', `${height}px`);
    document.documentElement.classList.toggle('low', height < LOW_PX);
  };
  viewport.addEventListener('resize', follow);
  follow();
}
