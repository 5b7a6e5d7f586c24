/** Reaches a guest who looks elsewhere: title, sound, and a notification where it is allowed. */
import type { News } from '../chat/news';
import { isolated, words } from '../words/spoken.svelte';
import { Alert } from './alerts';
import { sound } from './sound.svelte';

export class Attention {
  readonly #alert = new Alert('passerby-news');
  #unread = $state(0);
  #latest = $state.raw<News | null>(null);

  constructor() {
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      this.#unread = 0;
      this.#latest = null;
      this.#alert.hide();
    });
  }

  /** The title of the page. */
  get title(): string {
    const { plain, unread, matched, asked, ended } = words().title;
    if (!this.#latest) return plain;
    const { what, name } = this.#latest;
    if (what === 'ended') return ended;
    if (what === 'asked') return asked(isolated(name));
    return what === 'matched' ? matched(isolated(name)) : unread(this.#unread);
  }

  /** Tell of it, unless the guest is looking. */
  tell(news: News): void {
    if (!document.hidden) return;
    const { what, name } = news;
    this.#latest = news;
    this.#unread = what === 'message' ? this.#unread + 1 : 0;
    sound(what);
    this.#alert.show(words().news[what](isolated(name)));
  }
}
