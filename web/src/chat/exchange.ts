/** What happens to a conversation: each function returns the next one. */
import type { Message, RoomResumed, Undelivered } from '../wire/types';
import {
  change,
  lastSeq,
  seen,
  withLines,
  type Conversation,
  type Ending,
  type Line,
} from './conversation';
import type { Trouble } from './trouble';

/** A message of our own, before the server has it. */
export interface Draft {
  clientId: string;
  type: Message['type'];
  content: Message['content'];
  at: string;
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
    undelivered: false,
  };
  return withLines(conversation, [...conversation.lines, line]);
}

/** The server has our message: `chat:message:sent`, or the message itself in a replay. */
export function accepted(
  conversation: Conversation,
  clientId: string,
  message: { id: string; seq: number; at: string },
): Conversation {
  const changed = change(conversation, (line) => line.own && line.key === clientId, {
    ...message,
    refused: null,
  });
  return seen(changed, message.seq);
}

export function refused(
  conversation: Conversation,
  clientId: string,
  trouble: Trouble,
): Conversation {
  return change(conversation, (line) => line.key === clientId && line.seq === null, {
    refused: trouble,
    after: lastSeq(conversation),
  });
}

export function retried(conversation: Conversation, clientId: string): Conversation {
  const again = conversation.lines.find((line) => line.key === clientId && line.refused);
  if (!again) return conversation;
  const others = conversation.lines.filter((line) => line !== again);
  return withLines(conversation, [...others, { ...again, refused: null }]);
}

/** A message from the server: the partner's, or in a replay our own. A known one changes nothing. */
export function received(conversation: Conversation, message: Message, me: string): Conversation {
  const own = message.senderId === me;
  if (!own && message.senderId !== conversation.partner.id) return conversation;
  const { id, seq, timestamp: at, type, content, clientId } = message;
  if (own && clientId !== undefined && conversation.lines.some((line) => line.key === clientId)) {
    return confirmedBy(accepted(conversation, clientId, { id, seq, at }), message);
  }
  const next = own
    ? conversation
    : { ...conversation, unconfirmed: id, partnerTyping: false, partnerReloaded: false };
  if (conversation.lines.some((line) => line.id === id)) return next;
  const key = own && clientId !== undefined ? clientId : id;
  const fate = { refused: null, undelivered: false };
  const line: Line = { key, own, id, seq, after: seq, type, content, at, ...fate };
  return confirmedBy(seen(withLines(next, [...next.lines, line]), seq), message);
}

function confirmedBy(conversation: Conversation, message: Message): Conversation {
  if (message.senderId === conversation.partner.id || message.status !== 'delivered')
    return conversation;
  return { ...conversation, delivered: Math.max(conversation.delivered, message.seq) };
}

/** The partner's client confirmed this message of ours, and with it every earlier one. */
export function delivered(conversation: Conversation, messageId: string): Conversation {
  const line = conversation.lines.find((candidate) => candidate.id === messageId);
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
  const last = conversation.lines.findLast((line) => !line.own);
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
    ...change(conversation, lost, { undelivered: true }),
    ending,
    restoring: false,
    partnerAway: false,
    partnerTyping: false,
    partnerReloaded: false,
  };
}
