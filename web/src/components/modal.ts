import { opened } from '../shell/overlays';

/** Show the dialog over everything else as long as it is there. Its `autofocus` says where the focus begins. */
export function modal(dialog: HTMLDialogElement): () => void {
  const before = document.activeElement;
  dialog.showModal();
  const overlay = opened(() => {
    dialog.close();
  });
  return () => {
    overlay.closed();
    // Closed by us too, when the conversation ends: while it is open nothing else takes the focus.
    dialog.close();
    // What was pressed to come here; not every browser remembers.
    if (before instanceof HTMLElement && before !== document.body && before.isConnected)
      before.focus();
    // It has gone meanwhile, with all that was around it.
    else document.querySelector<HTMLElement>('main .primary')?.focus();
  };
}

/** Close the dialog that this was pressed in. */
export function closeModal({ currentTarget }: { currentTarget: Element }): void {
  currentTarget.closest('dialog')?.close();
}
