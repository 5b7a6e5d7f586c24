import type { Attachment } from 'svelte/attachments';

/** Focus the element once when it appears, if `wanted` then: a change of view continues where it makes sense. */
export function focusIf(wanted: boolean): Attachment<HTMLElement> {
  return (element) => {
    if (wanted) element.focus();
  };
}
