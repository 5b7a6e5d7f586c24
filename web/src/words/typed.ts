/** What the other languages have to have too: `words`, and nothing is missing. */
export function typed<T>(words: T): T {
  return words;
}
