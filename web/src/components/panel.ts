import type { Attachment } from 'svelte/attachments';
import { opened } from '../shell/overlays';
import { isOfInputMethod } from './keys';

/** A panel, in the same element as the button that opens it: Escape and Back close it, by `close`. */
export function panel(close: () => void): Attachment<HTMLElement> {
  return (element) => {
    const leave = (): void => {
      const inside = element.contains(document.activeElement);
      const around = element.parentElement;
      close();
      if (inside) around?.querySelector<HTMLElement>('[aria-expanded]')?.focus();
    };
    const overlay = opened(leave);
    const onkeydown = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape' || isOfInputMethod(event) || !overlay.isOnTop()) return;
      // This is all that it does.
      event.stopImmediatePropagation();
      leave();
    };
    document.addEventListener('keydown', onkeydown);
    return () => {
      document.removeEventListener('keydown', onkeydown);
      overlay.closed();
    };
  };
}
