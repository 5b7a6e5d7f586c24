/** The receipts of the guest's reports: kept in this browser alone, and never with whom they are about. */
import type { Rule } from '../chat/report';

const KEY = 'passerby.receipts';
const MOST = 5;

export interface Receipt {
  receipt: string;
  reason: Rule;
  /** ISO 8601. */
  at: string;
}

function read(): readonly Receipt[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? (kept as Receipt[]) : [];
  } catch {
    return [];
  }
}

let kept = $state.raw(read());

/** The newest first. */
export function receipts(): readonly Receipt[] {
  return kept;
}

function write(next: readonly Receipt[]): void {
  kept = next;
  try {
    if (next.length > 0) localStorage.setItem(KEY, JSON.stringify(next));
    else localStorage.removeItem(KEY);
  } catch {
    // Storage may be forbidden or full: then they last as long as the page.
  }
}

export function keepReceipt(receipt: string, reason: Rule): void {
  // Another tab may have kept one meanwhile.
  const others = read();
  if (others.some((one) => one.receipt === receipt)) return;
  write([{ receipt, reason, at: new Date().toISOString() }, ...others].slice(0, MOST));
}

export function forgetReceipt(receipt: string): void {
  write(read().filter((one) => one.receipt !== receipt));
}
