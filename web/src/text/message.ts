const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** How many characters a person would count in `text`: a flag or a family emoji is one. */
export function characterCount(text: string): number {
  return Array.from(graphemes.segment(text)).length;
}

// Control characters but newline and tab, and halves of characters: the server refuses them, and they
// come only by pasting.
// eslint-disable-next-line no-control-regex -- control characters are what this is about
const UNSENDABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\p{Surrogate}]/gu;

/** `text` as it is sent: line ends made one kind, no control characters, no blank edges. */
export function tidy(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(UNSENDABLE, '')
    .replace(/^(?:[^\S\n]*\n)+|\s+$/g, '');
}
