/** What was typed and not sent: kept in memory when a session ends, for the same moderator and nobody else. */
import type { Action, MarkKind, Rule } from './models';

/** Of the dialog that decides a case. */
export interface DecisionDraft {
  action: Action;
  rule: Rule;
  /** Null: as in the template. */
  written: string | null;
  by: MarkKind[];
  length: string;
}

export interface AnswerDraft {
  id: number;
  verdict: 'upheld' | 'rejected';
  text: string;
}

export interface LiftDraft {
  id: number;
  text: string;
}

export class Drafts {
  /** By case. */
  readonly decisions = new Map<string, DecisionDraft>();
  answer: AnswerDraft | null = null;
  lift: LiftDraft | null = null;

  forget(): void {
    this.decisions.clear();
    this.answer = null;
    this.lift = null;
  }
}
