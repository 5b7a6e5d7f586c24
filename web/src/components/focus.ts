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
