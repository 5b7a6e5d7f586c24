// Some browsers have no Segmenter: what they count is near enough, and the server counts anyway.
const graphemes =
  'Segmenter' in Intl ? new Intl.Segmenter(undefined, { granularity: 'grapheme' }) : null;

// A flag; an emoji with what belongs to it, and others joined to it; anything else with its marks.
const ROUGHLY =
  /\p{RI}\p{RI}|\p{ExtPict}[\p{EMod}\p{M}\u{e0020}-\u{e007f}]*(?:\u200d\p{ExtPict}[\p{EMod}\p{M}]*)*|\r\n|\P{M}\p{M}*|\p{M}+/gu;

/** The code points that the server takes for each character (docs/protocol.md), at two units of UTF-16 each. */
export const UNITS_PER_CHARACTER = 32;

/**
 * How many characters a person would count in `text`: a flag or a family emoji is one. The count ends
 * at `most`: however long the text, it costs no more.
 */
export function characterCount(text: string, most = Infinity): number {
  const characters = (graphemes ? graphemes.segment(text) : text.matchAll(ROUGHLY))[
    Symbol.iterator
  ]();
  let count = 0;
  while (count < most && !characters.next().done) count += 1;
  return count;
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
    .replace(/^(?:[^\S\n]*\n)+/, '')
    .trimEnd();
}
