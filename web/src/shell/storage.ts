/** What outlives a reload: kept for this tab alone, so that every tab is a guest of its own. */
import type { Saved } from '../chat/state';

// The number changes when the shape does; what an older client left behind is then not read.
const KEY = 'passerby.3';

export function load(): Saved | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Saved | null;
  } catch {
    return null;
  }
}

export function store(saved: Saved | null): void {
  try {
    if (saved) sessionStorage.setItem(KEY, JSON.stringify(saved));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be forbidden or full: then a reload starts anew, and nothing else is lost.
  }
}
