/** Addresses of web pages in what people write. Each character is looked at a fixed number of times. */

export interface Link {
  /** As it was written. */
  text: string;
  href: string;
  /** Where it leads: punycode for a name beyond ASCII, and the port if it is not the usual one. */
  host: string;
  /** The text says so too: it begins with that host and nothing else. */
  plain: boolean;
}

/** A text, or a link in it; put together again they are the whole. */
export type Part = string | Link;

// It ends at white space, at what is invisible or turns the direction of writing, at quotation marks and at the
// punctuation of languages that put no space behind it.
const RUN = /https?:\/\/[^\s\p{C}<>"“”„«»‹›。，、；：！？「」『』【】《》〈〉（）]+/giu;
/** Longer than browsers and servers care for. */
const LONGEST = 2048;
/** More in one message are not for reading. */
const MOST = 100;

const CLOSES: Partial<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };
const PUNCTUATION = new Set(".,;:!?'’*_~|…");

/** `run` without what belongs to the sentence around it: a full stop, or a bracket that it did not open. */
function trimmed(run: string): string {
  const counts = new Map<string, number>();
  for (const character of run) counts.set(character, (counts.get(character) ?? 0) + 1);
  let end = run.length;
  for (; end > 0; end -= 1) {
    const last = run.charAt(end - 1);
    if (PUNCTUATION.has(last)) continue;
    const opens = CLOSES[last];
    const closing = counts.get(last) ?? 0;
    if (opens === undefined || closing <= (counts.get(opens) ?? 0)) break;
    counts.set(last, closing - 1);
  }
  return run.slice(0, end);
}

function linkOf(text: string): Link | null {
  if (text.length > LONGEST) return null;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const { protocol, host, href } = url;
  if (protocol !== 'http:' && protocol !== 'https:') return null;
  const [, said = ''] = /^https?:\/\/([^/?#\\]*)/i.exec(text) ?? [];
  return { text, href, host, plain: said.toLowerCase() === host };
}

/** `text` in parts. */
export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let done = 0;
  let links = 0;
  for (const { 0: run, index } of text.matchAll(RUN)) {
    const link = linkOf(trimmed(run));
    if (!link) continue;
    if (index > done) parts.push(text.slice(done, index));
    parts.push(link);
    done = index + link.text.length;
    links += 1;
    if (links === MOST) break;
  }
  if (done < text.length) parts.push(text.slice(done));
  return parts;
}
