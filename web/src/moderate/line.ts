/** The part of a list that was loaded, and the ways through the queue. */
import type { CaseLine, CaseList, SanctionList } from './models';

/** `more` after what is there; what has moved meanwhile is there once. */
function united<T extends { id: unknown }>(list: readonly T[], more: readonly T[]): T[] {
  const known = new Set(list.map((one) => one.id));
  return [...list, ...more.filter((one) => !known.has(one.id))];
}

export function joined(list: CaseList, more: CaseList): CaseList {
  return { ...more, cases: united(list.cases, more.cases) };
}

export function joinedBans(list: SanctionList, more: SanctionList): SanctionList {
  return { ...more, sanctions: united(list.sanctions, more.sanctions) };
}

/** A list from its start, as far as it is wanted: whoever has gone down it keeps the place when it is loaded again. */
export async function loadedAgain<L extends { next: string | null }>(
  load: (after: string | null) => Promise<L>,
  join: (list: L, more: L) => L,
  isEnough: (list: L) => boolean,
): Promise<L> {
  let list = await load(null);
  while (list.next && !isEnough(list)) list = join(list, await load(list.next));
  return list;
}

export function without(list: CaseList, id: string): CaseList {
  const cases = list.cases.filter((one) => one.id !== id);
  return { ...list, cases, total: list.total - (list.cases.length - cases.length) };
}

export function replaced(list: CaseList, line: CaseLine): CaseList {
  return { ...list, cases: list.cases.map((one) => (one.id === line.id ? line : one)) };
}

/** The case `steps` after that with the id; null: there is none. From outside the queue, it begins at its start. */
export function beside(list: CaseList, id: string, steps: 1 | -1): string | null {
  const at = list.cases.findIndex((one) => one.id === id);
  if (at < 0) return steps > 0 ? (list.cases[0]?.id ?? null) : null;
  return list.cases[at + steps]?.id ?? null;
}

/** Where to go once the case is decided: the next one, at the end the one before. */
export function after(list: CaseList, id: string): string | null {
  return beside(list, id, 1) ?? beside(list, id, -1);
}
