/** What happens to a conversation: each function returns the next one. */
import type { Message, Partner, RoomResumed, Undelivered } from '../wire/types';
import type { ConsentStep } from './consent';
import {
  isKnown,
  isSettled,
  lastSeq,
  seen,
  type Conversation,
  type Ending,
  type Line,
} from './conversation';
import { findLast, inserted, mapped, removed, replaced, type Place } from './lines';
import type { Trouble } from './trouble';

/** A message of our own, before the server has it. */
export interface Draft {
  clientId: string;
  type: Message['type'];
  content: Message['content'];
  at: string;
}

const drafts = new WeakMap<Line, Draft>();

/** The draft that a line of ours was; always the same one, so that nobody stores it twice. */
export function draftOf(line: Line): Draft {
  const { key: clientId, type, content, at } = line;
  const draft = drafts.get(line) ?? { clientId, type, content, at };
  drafts.set(line, draft);
  return draft;
}

export function wrote(conversation: Conversation, draft: Draft): Conversation {
  const { clientId, type, content, at } = draft;
  const line: Line = {
    key: clientId,
    own: true,
    id: null,
    seq: null,
    after: lastSeq(conversation),
    type,
    content,
    at,
    refused: null,
    again: null,
    undelivered: false,
    asking: false,
  };
  return { ...conversation, lines: inserted(conversation.lines, line) };
}

/** A message of ours that the server has not answered for yet. */
export function waiting({ lines }: Conversation, clientId: string): [Line, Place] | null {
  return findLast(lines, ({ key }) => key === clientId, isSettled);
}

/** One of ours that was refused: it may be anywhere. */
function refusedOne({ lines }: Conversation, clientId: string): [Line, Place] | null {
  return findLast(lines, ({ key, refused }) => key === clientId && refused !== null);
}

/** The server has our message: `chat:message:sent`, or the message itself in a replay. */
export function accepted(
  conversation: Conversation,
  clientId: string,
  message: { id: string; seq: number; at: string },
): Conversation {
  const found =
    waiting(conversation, clientId) ??
    (isKnown(conversation, message.seq) ? null : refusedOne(conversation, clientId));
  if (!found) return seen(conversation, message.seq);
  const [line, place] = found;
  const lines = replaced(conversation.lines, place, {
    ...line,
    ...message,
    refused: null,
    again: null,
    asking: false,
  });
  return seen({ ...conversation, lines }, message.seq);
}

export function refused(
  conversation: Conversation,
  clientId: string,
  trouble: Trouble,
  seconds?: number,
): Conversation {
  const found = waiting(conversation, clientId);
  if (!found) return conversation;
  const [line, place] = found;
  const after = lastSeq(conversation);
  const lines = replaced(conversation.lines, place, {
    ...line,
    refused: trouble,
    again: seconds === undefined ? null : { seconds },
    after,
    asking: false,
  });
  return { ...conversation, lines };
}

export function retried(conversation: Conversation, clientId: string): Conversation {
  const found = refusedOne(conversation, clientId);
  if (!found) return conversation;
  const [line, place] = found;
  const others = removed(conversation.lines, place);
  return { ...conversation, lines: inserted(others, { ...line, refused: null, again: null }) };
}

/** A message from the server: the partner's, or in a replay our own. A known one changes nothing. */
export function received(conversation: Conversation, message: Message, me: string): Conversation {
  const own = message.senderId === me;
  if (!own && message.senderId !== conversation.partner.id) return conversation;
  const { id, seq, timestamp: at, type, content, clientId } = message;
  if (own && clientId !== undefined) {
    const ours = waiting(conversation, clientId) ?? refusedOne(conversation, clientId);
    if (ours) return confirmedBy(accepted(conversation, clientId, { id, seq, at }), message);
  }
  const next = own
    ? conversation
    : { ...conversation, unconfirmed: id, partnerTyping: false, partnerReloaded: false };
  if (isKnown(conversation, seq)) return own ? confirmedBy(next, message) : next;
  const key = own && clientId !== undefined ? clientId : id;
  const fate = { refused: null, again: null, undelivered: false, asking: false };
  const line: Line = { key, own, id, seq, after: seq, type, content, at, ...fate };
  const lines = inserted(next.lines, line);
  const heard = next.heard + (own ? 0 : 1);
  return confirmedBy(seen({ ...next, lines, heard }, seq), message);
}

function confirmedBy(conversation: Conversation, message: Message): Conversation {
  if (message.senderId === conversation.partner.id || message.status !== 'delivered')
    return conversation;
  return { ...conversation, delivered: Math.max(conversation.delivered, message.seq) };
}

/** The partner is asked whether we may send this, or call. */
export function asking(
  conversation: Conversation,
  step: ConsentStep,
  clientId: string | undefined,
): Conversation {
  if (clientId === undefined) return { ...conversation, callAsks: step };
  const found = waiting(conversation, clientId);
  if (!found) return conversation;
  const [line, place] = found;
  return {
    ...conversation,
    lines: replaced(conversation.lines, place, { ...line, asking: true }),
  };
}

/** The partner wants to send the first of its kind, or does not any more. */
export function asked(conversation: Conversation, step: ConsentStep, wants: boolean): Conversation {
  const others = conversation.asked.filter((each) => each !== step);
  return { ...conversation, asked: wants ? [...others, step] : others };
}

/** We allow it, or not now. */
export function answered(
  conversation: Conversation,
  step: ConsentStep,
  allowed: boolean,
): Conversation {
  const answers = { ...conversation.answers, [step]: allowed };
  return { ...asked(conversation, step, false), answers };
}

/** The partner's client confirmed this message of ours, and with it every earlier one. */
export function delivered(conversation: Conversation, messageId: string): Conversation {
  const [line] =
    findLast(
      conversation.lines,
      ({ id }) => id === messageId,
      ({ own, seq }) => own && seq !== null && seq <= conversation.delivered,
    ) ?? [];
  if (!line?.own || line.seq === null) return conversation;
  return { ...conversation, delivered: Math.max(conversation.delivered, line.seq) };
}

/** The id to confirm now, and the conversation without it; null while a replay goes on. */
export function takeConfirmation(conversation: Conversation): [string | null, Conversation] {
  if (conversation.unconfirmed === null || lastSeq(conversation) < conversation.replayUntil) {
    return [null, conversation];
  }
  return [conversation.unconfirmed, { ...conversation, unconfirmed: null }];
}

/** We are back in the room; what we miss follows as messages, except for `gap` that nobody has any more. */
export function resumed(conversation: Conversation, event: RoomResumed): Conversation {
  const { gap } = event;
  const reached = conversation.contiguous + gap;
  const skipped: Conversation = {
    ...conversation,
    contiguous: reached,
    ahead: conversation.ahead.filter((seq) => seq > reached),
    gaps:
      gap > 0
        ? [...conversation.gaps, { after: conversation.contiguous, count: gap }]
        : conversation.gaps,
  };
  // A confirmation may have been lost with the old connection, so the last one is given again.
  const [last] = findLast(conversation.lines, ({ own }) => !own) ?? [];
  return {
    ...skipped,
    partner: event.partner,
    partnerAway: event.partnerAway,
    partnerTyping: false,
    partnerReloaded: false,
    delivered: Math.max(conversation.delivered, event.delivered),
    replayUntil: event.seq,
    old: conversation.restoring ? event.seq : conversation.old,
    unconfirmed: last?.id ?? null,
    restoring: false,
  };
}

/** The conversation is over; what the server never had, or names as undelivered, is marked so. */
export function ended(
  conversation: Conversation,
  ending: Ending,
  undelivered: readonly Undelivered[] = [],
): Conversation {
  const ids = new Set(undelivered.flatMap(({ messageId, clientId }) => [messageId, clientId]));
  const lost = (line: Line): boolean =>
    line.own && !line.refused && (line.seq === null || ids.has(line.key) || ids.has(line.id ?? ''));
  return {
    ...conversation,
    lines: mapped(conversation.lines, (line) =>
      lost(line) ? { ...line, undelivered: true } : line,
    ),
    ending,
    restoring: false,
    partnerAway: false,
    partnerTyping: false,
    partnerReloaded: false,
  };
}

/** The conversation goes on after its end: what could not be delivered then has its turn again. */
export function revived(conversation: Conversation, partner: Partner): Conversation {
  return {
    ...conversation,
    partner,
    lines: mapped(conversation.lines, (line) =>
      line.undelivered ? { ...line, undelivered: false } : line,
    ),
    partnerReturned: true,
    // Whatever still waits is asked for again.
    asked: [],
    callAsks: null,
    ending: null,
    mayReturn: null,
  };
}
