import type { Attachment } from 'svelte/attachments';

/** Focus the element once when it appears, if `wanted` then: a change of view continues where it makes sense. */
export function focusIf(wanted: boolean): Attachment<HTMLElement> {
  return (element) => {
    if (wanted) element.focus();
  };
}

/** Focus the element when it appears if what had the focus has just gone: the next key goes on from here. */
export const focusIfLost: Attachment<HTMLElement> = (element) => {
  if (document.activeElement === document.body || document.activeElement === null) element.focus();
};

/**
 * What a key has pressed in here may be gone then, or disabled: the composer takes the focus. Not after
 * a finger, or the phone's keyboard would open.
 */
export const focusesComposer: Attachment<HTMLElement> = (element) => {
  function onclick({ detail }: MouseEvent): void {
    if (detail > 0) return;
    // Once everyone has heard of the press, and the page shows it.
    setTimeout(() => {
      const focused = document.activeElement ?? document.body;
      if (focused === document.body || focused.matches(':disabled'))
        element.querySelector('textarea')?.focus();
    });
  }
  element.addEventListener('click', onclick);
  return () => {
    element.removeEventListener('click', onclick);
  };
};
