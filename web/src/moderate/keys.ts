/** What the keys do. */
import type { Action } from './models';

export type Command = Exclude<Action, 'release'> | 'next' | 'previous' | 'keys';

export const KEYS: Readonly<Record<string, Command>> = {
  d: 'dismiss',
  w: 'warn',
  e: 'end_session',
  b: 'ban',
  s: 'escalate',
  h: 'hold',
  n: 'note',
  x: 'export',
  j: 'next',
  k: 'previous',
  '?': 'keys',
};

/** The key of an action, to be shown beside it. */
export function keyOf(action: Action): string {
  const command = action === 'release' ? 'hold' : action;
  return Object.keys(KEYS).find((key) => KEYS[key] === command) ?? '';
}

type Press = Pick<
  KeyboardEvent,
  | 'key'
  | 'shiftKey'
  | 'ctrlKey'
  | 'metaKey'
  | 'altKey'
  | 'repeat'
  | 'isComposing'
  | 'defaultPrevented'
>;

/** What a press asks for; null: nothing, or it is of a field that is written in. */
export function commandOf(press: Press, isWriting: boolean): Command | null {
  if (isWriting || press.isComposing || press.defaultPrevented) return null;
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  // With caps lock a letter is a capital, without Shift; "?" needs Shift on most keyboards.
  const key = press.key.toLowerCase();
  if (press.shiftKey && key !== '?') return null;
  const command = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (!command || (press.repeat && command !== 'next' && command !== 'previous')) return null;
  return command;
}

/** Whether what is typed there is text. */
export function isField(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input, textarea, select'))
  );
}
