/** What a stranger is asked for before the first of its kind is sent. */
import type { AnswerConsent } from '../wire/types';

export type ConsentStep = AnswerConsent['step'];
