/** What of a call outlives a reload: kept for this tab alone. */
import type { Rejoin } from '../chat/call';

// The number changes when the shape does.
const CALL = 'passerby.call.2';
const HIDE = 'passerby.hideAddress';
const LOOKED = 'passerby.looked';

interface Kept {
  roomId: string;
  epoch: number;
  rejoin: Rejoin;
}

function read(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Storage may be forbidden or full: then a reload ends the call, and nothing else is lost.
  }
}

/**
 * A clock that is set may jump, and the page's own begins anew with every page. So `since` is kept as counted from
 * now: where the next page's clock is at 0, for a reload begins when this page goes.
 */
export function keepCall(kept: Kept | null): void {
  if (!kept) {
    write(CALL, null);
    return;
  }
  const { since } = kept.rejoin;
  const rejoin = { ...kept.rejoin, since: since === null ? null : since - performance.now() };
  write(CALL, JSON.stringify({ ...kept, rejoin }));
}

export function keptCall(): Kept | null {
  try {
    return JSON.parse(read(CALL) ?? 'null') as Kept | null;
  } catch {
    return null;
  }
}

export function hidesAddress(): boolean {
  return read(HIDE) !== null;
}

export function hideAddress(hide: boolean): void {
  write(HIDE, hide ? '1' : null);
}

/** The guest has seen what the other will see. */
export function hasLooked(): boolean {
  return read(LOOKED) !== null;
}

export function looked(): void {
  write(LOOKED, '1');
}
