/**
 * One conversation as this client knows it: a value. What happens to it stands in exchange.ts; nothing
 * in either knows of sockets, clocks or the page.
 *
 * Both members' messages share one numbering (`seq`, from 1, without holes). A message of our own has
 * no seq until the server accepts it; until then it stands last.
 */
import type { Message, Partner, Shared } from '../wire/types';
import type { CallRecord } from './call';
import type { ConsentStep } from './consent';
import { findLast, NO_LINES, position, type Lines } from './lines';
import type { Mode } from './preferences';
import type { Trouble } from './trouble';

export type MessageState =
  'sending' | 'asking' | 'sent' | 'delivered' | 'failed' | 'undelivered' | 'received';

/** A message as shown. */
export interface Line {
  /** Stable from the moment of writing, before the server gave the message an id. */
  key: string;
  own: boolean;
  id: string | null;
  seq: number | null;
  /** The last seq when it was written: where a refused message, which never gets a seq, belongs. */
  after: number;
  type: Message['type'];
  content: Message['content'];
  at: string;
  refused: Trouble | null;
  /** How long it will be refused, as the server said when it was. */
  again: { seconds: number } | null;
  undelivered: boolean;
  /** The partner is asked first whether we may send it. */
  asking: boolean;
}

/** A call that is over, as a line between the messages. */
export interface CallLine extends CallRecord {
  /** The last seq when it ended. */
  after: number;
  at: string;
}

export interface Gap {
  after: number;
  count: number;
}

export type Ending =
  'left' | 'disconnected' | 'session_ended' | 'partner_offline' | 'away' | 'expired';

/** How the two have met, as far as it was told. */
export interface Meeting {
  shared: Shared | null;
  /** They have met lately, and nobody else came. */
  before: boolean;
  /** What both have come for. */
  mode: Mode;
}

export const NO_MEETING: Meeting = { shared: null, before: false, mode: 'text' };

export interface Room {
  roomId: string;
  epoch: number;
  partner: Partner;
  meeting?: Meeting;
}

export interface Conversation extends Room {
  meeting: Meeting;
  lines: Lines;
  /** How many messages of the partner are among them. */
  heard: number;
  calls: readonly CallLine[];
  gaps: readonly Gap[];
  /** Every message up to this seq is here, or is known to be lost. */
  contiguous: number;
  /** Seqs above `contiguous` that are here already. */
  ahead: readonly number[];
  /** The partner's client has confirmed everything up to this seq. */
  delivered: number;
  /** While messages up to this seq are being replayed, the last of them is confirmed for all. */
  replayUntil: number;
  /** Messages up to this seq were there before a reload: they are no news. */
  old: number;
  /** Id of the partner's message to confirm next. */
  unconfirmed: string | null;
  /** Brought back from before a reload and not yet confirmed by the server. */
  restoring: boolean;
  partnerAway: boolean;
  partnerTyping: boolean;
  /** Their page was loaded anew a moment ago. */
  partnerReloaded: boolean;
  /** The partner has taken back that they moved on. */
  partnerReturned: boolean;
  /** What the partner wants to send and waits for our answer, in the order of asking. */
  asked: readonly ConsentStep[];
  /** What we have answered. */
  answers: Readonly<Partial<Record<ConsentStep, boolean>>>;
  /** The kind of call for which the partner is asked. */
  callAsks: ConsentStep | null;
  ending: Ending | null;
  /** The partner has moved on, and may come back for a while. */
  mayReturn: { seconds: number } | null;
}

export function open(room: Room): Conversation {
  return {
    roomId: room.roomId,
    epoch: room.epoch,
    partner: room.partner,
    meeting: room.meeting ?? NO_MEETING,
    lines: NO_LINES,
    heard: 0,
    calls: [],
    gaps: [],
    contiguous: 0,
    ahead: [],
    delivered: 0,
    replayUntil: 0,
    old: 0,
    unconfirmed: null,
    restoring: false,
    partnerAway: false,
    partnerTyping: false,
    partnerReloaded: false,
    partnerReturned: false,
    asked: [],
    answers: {},
    callAsks: null,
    ending: null,
    mayReturn: null,
  };
}

export function sameRoom(
  a: Pick<Room, 'roomId' | 'epoch'>,
  b: Pick<Room, 'roomId' | 'epoch'>,
): boolean {
  return a.roomId === b.roomId && a.epoch === b.epoch;
}

export function stateOf(conversation: Pick<Conversation, 'delivered'>, line: Line): MessageState {
  if (!line.own) return 'received';
  if (line.refused) return 'failed';
  if (line.undelivered) return 'undelivered';
  if (line.seq === null) return line.asking ? 'asking' : 'sending';
  return line.seq <= conversation.delivered ? 'delivered' : 'sent';
}

/** What is still without a seq stands last; the search for it ends at the first line that has one. */
export function isSettled(line: Line): boolean {
  return position(line) !== Infinity;
}

/** Our messages that the server has not acknowledged, in the order of writing. */
export function unsent(conversation: Conversation): Line[] {
  const waiting: Line[] = [];
  findLast(
    conversation.lines,
    (line) => {
      const state = stateOf(conversation, line);
      if (state === 'sending' || state === 'asking') waiting.push(line);
      return false;
    },
    isSettled,
  );
  return waiting.reverse();
}

/** The highest seq here, holes or not. */
export function lastSeq(conversation: Conversation): number {
  return Math.max(conversation.contiguous, ...conversation.ahead);
}

/** `conversation` with a call that has just ended. */
export function called(conversation: Conversation, record: CallRecord, at: string): Conversation {
  const line: CallLine = { ...record, after: lastSeq(conversation), at };
  return { ...conversation, calls: [...conversation.calls, line], callAsks: null };
}

/** The message of this seq is here, or is known to be lost. */
export function isKnown({ contiguous, ahead }: Conversation, seq: number): boolean {
  return seq <= contiguous || ahead.includes(seq);
}

/** `conversation` knowing that the message of this seq is here. */
export function seen(conversation: Conversation, seq: number): Conversation {
  if (seq <= conversation.contiguous) return conversation;
  const ahead = new Set([...conversation.ahead, seq]);
  let { contiguous } = conversation;
  while (ahead.delete(contiguous + 1)) contiguous += 1;
  return { ...conversation, contiguous, ahead: [...ahead] };
}
