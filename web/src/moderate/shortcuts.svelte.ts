/** Whether single keys do something: who speaks to the computer, or hits keys by accident, switches them off. */
import { commandOf, isField, type Command } from './keys';
import { kept, keep } from './kept';

const KEY = 'passerby.keys';

let on = $state(kept(KEY) !== 'off');

export function keysAreOn(): boolean {
  return on;
}

export function switchKeys(wanted: boolean): void {
  on = wanted;
  keep(KEY, wanted ? null : 'off');
}

/** What a press asks the page for; null: nothing, or it is not for the page but for a dialog or a field. */
export function commanded(event: KeyboardEvent): Command | null {
  if (!on || document.querySelector('dialog[open]')) return null;
  return commandOf(event, isField(event.target));
}
