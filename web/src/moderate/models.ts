/** What the console talks about; the bodies themselves are of the wire. */
import type { CaseLine, CaseView, Console, Decide, Template } from '../wire/types';

export type {
  AppealLine,
  AuditLine,
  CaseLine,
  CaseList,
  CaseView,
  Console,
  Decide,
  EvidenceFile,
  EvidenceLine,
  Figures,
  ModeratorLine,
  SanctionLine,
  SanctionList,
  SetUp,
  Template,
} from '../wire/types';

export type Decision = Decide['action'];
/** What can be done with a case. An export decides nothing. */
export type Action = Decision | 'export';
export type Role = Console['role'];
export type Rule = CaseLine['rule'];
export type CaseState = CaseLine['state'];
export type MarkKind = NonNullable<Decide['by']>[number];

/** As many characters as the server takes. */
export const MOST_WORDS = 2000;

/** What a guest is told by default; empty: this decision is not told. */
export function templateOf(templates: readonly Template[], action: Action, rule: Rule): string {
  return templates.find((one) => one.action === action && one.rule === rule)?.words ?? '';
}

const KINDS: readonly MarkKind[] = ['session', 'device', 'address', 'network'];

/** By what the guest of a case can be known again. */
export function marksOf(view: CaseView, console: Console): MarkKind[] {
  return KINDS.filter(
    (kind) =>
      view.marks.includes(kind) &&
      (console.canBanAddresses || kind === 'session' || kind === 'device'),
  );
}
