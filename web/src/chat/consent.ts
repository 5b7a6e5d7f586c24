/** What a stranger is asked for before the first of its kind is sent. */
import type { AnswerConsent, Limits, OpenConsent } from '../wire/types';
import type { Line } from './conversation';
import { readFile } from './files';
import type { Emission } from './state';
import type { Trouble } from './trouble';

export type ConsentStep = AnswerConsent['step'];
/** Those of messages; the others are calls. */
export type MessageStep = Exclude<ConsentStep, 'audio' | 'video'>;

/** The steps that there are. An older server, while it gives way to a newer one, asks for nothing. */
export function stepsOf(limits: Limits | null): readonly ConsentStep[] {
  return (limits as Partial<Limits> | null)?.consent ?? [];
}

/** What a message of ours is to the one who is asked for it. A text is, if it is asked for, because of a link. */
export function stepOf({ type, content }: Pick<Line, 'type' | 'content'>): MessageStep {
  if (type === 'text') return 'links';
  if (type === 'voice') return 'voice';
  return readFile(content)?.kind === 'image' ? 'pictures' : 'files';
}

/** Refusals of what is refused again, however often it is sent. */
const FINAL = new Set<Trouble>([
  'text_empty',
  'text_too_long',
  'text_control_characters',
  'invalid_payload',
  'message_held',
  'step_closed',
]);

/** Whether it helps to send it again; after a while, if the server has said how long. */
export function mayHelp({ refused, again }: Pick<Line, 'refused' | 'again'>): boolean {
  return again !== null || (refused !== null && !FINAL.has(refused));
}

/** What the server is told of the steps that the guest allows everybody: those that it asks for. */
export function opening(
  steps: readonly ConsentStep[] | null,
  limits: Limits | null,
): Emission | null {
  const known = stepsOf(limits);
  if (steps === null || known.length === 0) return null;
  // No more than there are, which the type spells out.
  const open = known.filter((step) => steps.includes(step)) as OpenConsent['steps'];
  return { do: 'emit', event: 'consent:open', payload: { steps: open } };
}
