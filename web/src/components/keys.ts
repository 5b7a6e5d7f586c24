/**
 * Whether the key is an input method's, which picks a suggestion or closes the list of them. Safari tells of it only
 * after `compositionend`, and then nothing but the number says so (UI Events, “keydown” of an IME).
 */
export function isOfInputMethod(event: KeyboardEvent): boolean {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- `key` is Enter or Escape there, as of any other key
  return event.isComposing || event.keyCode === 229;
}
