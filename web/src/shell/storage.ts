/**
 * What outlives a reload: kept for this tab alone, so that every tab is a guest of its own. What a guest allows everybody,
 * and what the browser is known by, is kept for all tabs.
 */
import type { Saved, State } from '../chat/state';

// The number changes when the shape does; what an older client left behind is then not read.
const KEY = 'passerby.3';

export function load(): Saved | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Saved | null;
  } catch {
    return null;
  }
}

/** What was stored last: to write all of it again for every key of the partner would cost. */
let stored: Saved | null = null;

export function store(saved: Saved | null): void {
  if (isSame(saved, stored)) return;
  stored = saved;
  try {
    if (saved) sessionStorage.setItem(KEY, JSON.stringify(saved));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be forbidden or full: then a reload starts anew, and nothing else is lost.
  }
}

function isSame(a: Saved | null, b: Saved | null): boolean {
  if (!a || !b) return false;
  return (
    a.token === b.token &&
    a.username === b.username &&
    a.home === b.home &&
    a.searching === b.searching &&
    a.leaving === b.leaving &&
    a.room?.roomId === b.room?.roomId &&
    a.room?.epoch === b.room?.epoch &&
    a.room?.partner === b.room?.partner &&
    a.calls === b.calls &&
    a.preferences === b.preferences &&
    a.answers === b.answers &&
    a.warnings === b.warnings &&
    a.ended === b.ended &&
    a.outbox.length === b.outbox.length &&
    a.outbox.every((draft, index) => draft === b.outbox[index])
  );
}

const OPEN = 'passerby.open';

export function openSteps(): State['open'] {
  try {
    return JSON.parse(localStorage.getItem(OPEN) ?? 'null') as State['open'];
  } catch {
    return null;
  }
}

export function keepOpenSteps(steps: State['open']): void {
  try {
    localStorage.setItem(OPEN, JSON.stringify(steps));
  } catch {
    // Storage may be forbidden or full: then the choice lasts as long as the page.
  }
}

const DEVICE = 'passerby.device';

export function device(): string | null {
  try {
    return localStorage.getItem(DEVICE);
  } catch {
    return null;
  }
}

/** An older server, while it gives way to a newer one, gives none. */
export function keepDevice(id: string | null | undefined): void {
  try {
    if (id) localStorage.setItem(DEVICE, id);
  } catch {
    // Storage may be forbidden or full: then this browser is a new one next time.
  }
}
