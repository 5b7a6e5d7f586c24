/** What a stranger is asked for before the first of its kind is sent. */
import type { AnswerConsent, Limits } from '../wire/types';

export type ConsentStep = AnswerConsent['step'];

/** The steps that there are. An older server, while it gives way to a newer one, asks for nothing. */
export function stepsOf(limits: Limits | null): readonly ConsentStep[] {
  return (limits as Partial<Limits> | null)?.consent ?? [];
}
