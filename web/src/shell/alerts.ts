/** Notifications for who looks elsewhere; and the screen stays on for who is in a call. */
import { BASE } from '../wire/base';

export function canAskForAlerts(): boolean {
  return 'Notification' in window && Notification.permission === 'default';
}

export async function askForAlerts(): Promise<void> {
  await Notification.requestPermission().catch(() => undefined);
}

export class Alert {
  readonly #tag: string;
  #shown: Notification | null = null;

  /** Of all with the same tag, the last one is shown. */
  constructor(tag: string) {
    this.#tag = tag;
  }

  /** Only to those who look elsewhere, and have allowed it. */
  show(text: string): void {
    if (!document.hidden || !('Notification' in window) || Notification.permission !== 'granted') {
      return;
    }
    try {
      const { lang, dir } = document.documentElement;
      this.#shown = new Notification(text, {
        icon: `${BASE}icon.svg`,
        tag: this.#tag,
        lang,
        dir: dir === 'rtl' ? 'rtl' : 'ltr',
      });
      this.#shown.onclick = () => {
        window.focus();
        this.hide();
      };
    } catch {
      // Android shows them for service workers alone.
    }
  }

  hide(): void {
    this.#shown?.close();
    this.#shown = null;
  }
}

export class WakeLock {
  #wanted = false;
  #lock: WakeLockSentinel | null = null;

  constructor() {
    // The browser takes it back whenever the page is hidden.
    document.addEventListener('visibilitychange', () => {
      if (this.#wanted && !document.hidden) void this.#take();
    });
  }

  hold(wanted: boolean): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (wanted) void this.#take();
    else this.#letGo();
  }

  async #take(): Promise<void> {
    if (!('wakeLock' in navigator)) return;
    try {
      this.#lock = await navigator.wakeLock.request('screen');
      if (!this.#wanted) this.#letGo();
    } catch {
      // The battery is low: the screen may go off.
    }
  }

  #letGo(): void {
    this.#lock?.release().catch(() => undefined);
    this.#lock = null;
  }
}
