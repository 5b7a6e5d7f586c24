/** What a guest must hear of who looks elsewhere: a match, a message, a question, the end of a conversation. */
import { sameRoom } from './conversation';
import type { Input, State } from './state';

export interface News {
  what: 'matched' | 'message' | 'asked' | 'ended';
  /** Whose. */
  name: string;
}

/** What of that has come of `input`. */
export function newsOf(before: State, input: Input, after: State): News | null {
  const [was, is] = [before.conversation, after.conversation];
  if (!is) return null;
  const name = is.partner.username;
  if (before.view === 'searching' && after.view === 'conversation')
    return { what: 'matched', name };
  if (!was || !sameRoom(was, is)) return null;
  // They have come back.
  if (was.ending && !is.ending) return { what: 'matched', name };
  if (was.ending) return null;
  if (is.ending) return { what: 'ended', name };
  if (input.type !== 'event') return null;
  if (input.event === 'consent:ask')
    return is.asked.length > was.asked.length ? { what: 'asked', name } : null;
  if (input.event !== 'chat:message') return null;
  const { senderId, seq } = input.payload;
  const known = seq <= was.contiguous || was.ahead.includes(seq) || seq <= is.old;
  return senderId === is.partner.id && !known ? { what: 'message', name } : null;
}
