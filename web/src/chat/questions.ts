/** Which question comes next for a newcomer. Everything is asked before the request, so that little work is done twice. */
import type { House } from '../wire/types';
import type { Given, Refused } from './newcomer';

export type Question = 'under_age' | 'age' | 'age_check' | 'rules' | 'proof';

/** What of `given` still counts after the server has refused it. */
export function remaining(given: Given, { trouble }: Pick<Refused, 'trouble'>): Given {
  const { bornOn, rules, ageProof } = given;
  const left: Given = {
    ...(bornOn !== undefined && { bornOn }),
    ...(rules !== undefined && { rules }),
    ...(ageProof !== undefined && { ageProof }),
  };
  if (trouble === 'age_required' || trouble === 'invalid_payload') {
    delete left.bornOn;
    delete left.ageProof;
  }
  if (trouble === 'proof_invalid') delete left.ageProof;
  if (trouble === 'rules_required') delete left.rules;
  return left;
}

/**
 * The next question; null: all is answered. Who has a session is asked only for what the server has refused, for what
 * was answered there counts.
 */
export function question(
  { ageMinimum = 0, ageCheck = false, rules = '' }: House,
  { trouble }: Pick<Refused, 'trouble'>,
  given: Given,
  hasSession: boolean,
): Question | null {
  if (trouble === 'under_age') return 'under_age';
  const asksAge = trouble === 'age_required' || (ageMinimum > 0 && !hasSession);
  if (asksAge && given.bornOn === undefined && given.ageProof === undefined)
    return ageCheck ? 'age_check' : 'age';
  const asksRules = rules !== '' && (trouble === 'rules_required' || !hasSession);
  if (asksRules && given.rules !== rules) return 'rules';
  return trouble === 'proof_required' && given.proof === undefined ? 'proof' : null;
}

/** The day as YYYY-MM-DD; null if there is none, or not yet at `today`. */
export function dayOf(year: string, month: string, day: string, today: Date): string | null {
  if (![year, month, day].every((part) => /^\d+$/.test(part.trim()))) return null;
  const [y, m, d] = [Number(year), Number(month), Number(day)];
  const date = new Date(0);
  date.setUTCFullYear(y, m - 1, d);
  const isReal =
    date.getUTCFullYear() === y && date.getUTCMonth() === m - 1 && date.getUTCDate() === d;
  // Nobody is older: the server says the same.
  if (!isReal || date > today || y < today.getUTCFullYear() - 130) return null;
  return date.toISOString().slice(0, 10);
}

/** What a provider has put behind the address of the page, where no server sees it: `#state=…&result=…&signature=…`. */
export function ageProofOf(hash: string): string | null {
  const said = new URLSearchParams(hash.slice(1));
  const parts = ['state', 'result', 'signature'].map((name) => said.get(name));
  return parts.every((part) => part !== null && part !== '') ? parts.join('.') : null;
}

/** The page of the operator's that is behind the address: `#privacy`. */
export function pageOf<Name extends string>(hash: string, pages: readonly Name[]): Name | null {
  return pages.find((page) => hash === `#${page}`) ?? null;
}
