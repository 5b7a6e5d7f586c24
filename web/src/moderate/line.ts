/** The part of the queue that was loaded, and the ways through it. */
import type { CaseLine, CaseList } from './models';

/** `more` after what is there; a case that has moved meanwhile is there once. */
export function joined(list: CaseList, more: CaseList): CaseList {
  const known = new Set(list.cases.map((one) => one.id));
  return { ...more, cases: [...list.cases, ...more.cases.filter((one) => !known.has(one.id))] };
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
