/** A report of the partner, from the form to the receipt. */
import type { Report, Reported } from '../wire/types';
import type { Conversation, Line, Room } from './conversation';
import { allOf } from './lines';
import type { Trouble } from './trouble';

export type Rule = Report['reason'];

export const REASONS: readonly Rule[] = [
  'sexual',
  'threats',
  'hate',
  'spam',
  'private_data',
  'under_age',
  'other',
];

/** Somebody may have to be helped at once, which nobody here can. */
export const URGENT: readonly Rule[] = ['sexual', 'under_age'];

/** The server takes no more messages, nor characters. */
export const MOST_MARKED = 200;
export const MOST_WORDS = 2000;

/** The report as it was sent, or tried to be; which conversation it is of is known. */
export type Sent = Required<Omit<Report, 'epoch'>>;

interface About extends Pick<Room, 'roomId' | 'epoch'> {
  /** Of the partner. */
  name: string;
}

export type Reporting = About &
  (
    | {
        at: 'writing';
        /** Of a try that has failed. */
        sent: Sent | null;
        trouble: Trouble | null;
      }
    | {
        at: 'sending';
        sent: Sent;
        /** The guest looks at something else; the receipt is shown all the same. */
        hidden: boolean;
      }
    | ({ at: 'done'; reason: Rule } & Reported)
  );

/** What of the conversation can be marked: what the partner has sent, the latest last. */
export function markable({ lines }: Conversation): Line[] {
  return allOf(lines)
    .filter(({ own, id }) => !own && id !== null)
    .slice(-MOST_MARKED);
}
