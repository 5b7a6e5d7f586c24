/** What of a call outlives a reload: kept for this tab alone. */
import type { Rejoin } from '../chat/call';

const CALL = 'passerby.call';
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

export function keepCall(kept: Kept | null): void {
  write(CALL, kept && JSON.stringify(kept));
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
