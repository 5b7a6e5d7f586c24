/** What was being written, for each conversation by itself: kept for this tab alone, over a reload and over Next. */

const KEY = 'passerby.drafts';
/** Whoever has gone on further does not come back. */
const MOST = 3;
/** Not at every key: the browser writes to disk. */
const PAUSE_MS = 300;

type Kept = [room: string, text: string][];

function read(): Kept {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as Kept;
  } catch {
    return [];
  }
}

function write(kept: Kept): void {
  try {
    if (kept.length > 0) sessionStorage.setItem(KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be forbidden or full: then a draft lives as long as the page.
  }
}

export class Draft {
  readonly #room: string;
  #text: string;
  #stored: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ roomId, epoch }: { roomId: string; epoch: number }) {
    this.#room = `${roomId} ${epoch}`;
    this.#text = this.#stored = read().find(([room]) => room === this.#room)?.[1] ?? '';
  }

  get text(): string {
    return this.#text;
  }

  /** It will be stored in a moment; nothing at all is stored at once, or what was sent would come back. */
  change(text: string): void {
    this.#text = text;
    clearTimeout(this.#timer);
    if (text === '') this.keep();
    else
      this.#timer = setTimeout(() => {
        this.keep();
      }, PAUSE_MS);
  }

  /** Store it now: the page goes. */
  keep(): void {
    clearTimeout(this.#timer);
    if (this.#text === this.#stored) return;
    this.#stored = this.#text;
    const others = read().filter(([room]) => room !== this.#room);
    write(
      this.#text === ''
        ? others
        : ([...others, [this.#room, this.#text] as const].slice(-MOST) as Kept),
    );
  }
}
