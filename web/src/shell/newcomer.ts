/** What a newcomer may read, and has answered elsewhere: at a provider that checks ages, or here some time ago. */
import { ageProofOf } from '../chat/questions';
import type { House, HousePage } from '../wire/types';
import { BASE } from '../wire/base';
import { request } from './api';

export type PageName = NonNullable<House['pages']>[number];

export function housePage(name: PageName): Promise<HousePage> {
  return request('GET', `pages/${name}`);
}

let ageProof: string | null = null;

const CHECKING = 'passerby.age_check';
/** The server takes no answer that comes later; before, the guest may read for a while. */
const LONGEST_MS = 3_600_000;

/** A check may begin in this browser. */
export function keepAgeCheck(): void {
  try {
    localStorage.setItem(CHECKING, String(Number(new Date())));
  } catch {
    // Storage may be forbidden or full: then every answer counts, see below.
  }
}

/** Whether a check has begun in this browser. An answer about somebody else may come with a link, from anywhere. */
function endAgeCheck(): boolean {
  try {
    const began = Number(localStorage.getItem(CHECKING));
    localStorage.removeItem(CHECKING);
    return Number(new Date()) - began < LONGEST_MS;
  } catch {
    return true;
  }
}

/** Remove what is behind the address. */
export function forgetHash(): void {
  history.replaceState(history.state, '', location.pathname + location.search);
}

/** Take what a provider has said out of the address bar: it counts once. */
export function readAgeProof(): void {
  const found = ageProofOf(location.hash);
  if (found === null) return;
  forgetHash();
  if (endAgeCheck()) ageProof = found;
}

export function takeAgeProof(): string | null {
  readAgeProof();
  const taken = ageProof;
  ageProof = null;
  return taken;
}

export function ageCheckUrl(): string {
  return `${BASE}api/age?return=${encodeURIComponent(`${location.origin}${BASE}`)}`;
}

const UNDER_AGE = 'passerby.under_age';

/** Whether somebody has answered here that they are too young. The server knows it too, by the id of the browser. */
export function wasUnderAge(): boolean {
  try {
    return localStorage.getItem(UNDER_AGE) !== null;
  } catch {
    return false;
  }
}

export function keepUnderAge(): void {
  try {
    localStorage.setItem(UNDER_AGE, '1');
  } catch {
    // Storage may be forbidden or full: then nobody is known again.
  }
}
