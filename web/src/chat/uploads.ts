/** Attachments in the state: chosen by the guest, uploaded by the shell, ended by the conversation. */
import { post } from './actions';
import * as queue from './attachments';
import type { Attached } from './attachments';
import { sameRoom } from './conversation';
import { readFile } from './files';
import * as talk from './exchange';
import type { Effect, State, Step } from './state';
import type { Trouble } from './trouble';

/** What passes by itself: the server says when to come back. */
const LATER = new Set<Trouble>(['rate_limited', 'unavailable']);
const DEFAULT_PAUSE_S = 5;
const LEAST_PAUSE_S = 0.5;

/** Take `files` in; a voice note has been heard before, so it goes at once. */
export function attach(state: State, files: readonly Attached[], now: boolean): Step {
  const { conversation } = state;
  const ids = files.map(({ id }) => id);
  if (!conversation || conversation.ending) return [state, [{ do: 'discard', ids }]];
  let attachments = queue.added(state.attachments, files, state.limits);
  const kept = new Set(attachments.items.map(({ id }) => id));
  const over = ids.filter((id) => !kept.has(id));
  if (now) for (const id of ids) attachments = queue.released(attachments, id);
  const notice = over.length > 0 ? 'too_many_files' : state.notice;
  return [{ ...state, attachments, notice }, over.length > 0 ? [{ do: 'discard', ids: over }] : []];
}

export function sendAll(state: State): Step {
  return [{ ...state, notice: null, attachments: queue.released(state.attachments) }, []];
}

export function remove(state: State, id: string): Step {
  return [
    { ...state, attachments: queue.removed(state.attachments, id) },
    [{ do: 'discard', ids: [id] }],
  ];
}

export function retry(state: State, id: string): Step {
  return [{ ...state, attachments: queue.retried(state.attachments, id) }, []];
}

export function progress(state: State, id: string, share: number): Step {
  return [{ ...state, attachments: queue.progressed(state.attachments, id, share) }, []];
}

/** The server has the file: it becomes a message. One that was removed meanwhile does not. */
export function uploaded(state: State, id: string, file: unknown, at: string): Step {
  const { attachments, conversation } = state;
  const item = queue.uploading(attachments, id);
  if (!item || !conversation || conversation.ending) return [state, []];
  if (!readFile(file)) return failed(state, id, 'unexpected', null);
  const { kind, waveform } = item;
  const content = { ...(file as object), ...(waveform.length > 0 && { waveform: [...waveform] }) };
  const [next, effects] = post(
    {
      ...state,
      attachments: queue.removed(attachments, id),
      conversation: talk.wrote(conversation, { clientId: id, type: kind, content, at }),
    },
    id,
  );
  return [next, [...effects, { do: 'discard', ids: [id] }]];
}

export function failed(
  state: State,
  id: string,
  trouble: Trouble,
  retryAfter: number | null,
): Step {
  const { attachments, ready } = state;
  if (!queue.uploading(attachments, id)) return [state, []];
  if (LATER.has(trouble)) {
    const ms = Math.max(LEAST_PAUSE_S, retryAfter ?? DEFAULT_PAUSE_S) * 1000;
    return [
      { ...state, attachments: queue.postponed(attachments, id) },
      [{ do: 'timer', key: 'upload', ms }],
    ];
  }
  // The connection is gone, and the upload with it: both come back by themselves.
  if (trouble === 'unreachable' && !ready) {
    const waiting = queue.retried(queue.failed(attachments, id, trouble), id);
    return [{ ...state, attachments: waiting }, []];
  }
  return [{ ...state, attachments: queue.failed(attachments, id, trouble) }, []];
}

export function goOn(state: State): Step {
  return [{ ...state, attachments: { ...state.attachments, held: false } }, []];
}

/**
 * What every step ends with: a conversation that is over, or another one, takes its attachments along;
 * one that goes on uploads the next.
 */
export function settle(before: State, [after, effects]: Step): Step {
  const { attachments, conversation: now } = after;
  if (attachments.items.length === 0) return [after, effects];
  const was = before.conversation;
  if (!now || now.ending || !was || !sameRoom(was, now)) {
    const over: Effect[] = [
      { do: 'timer', key: 'upload', ms: null },
      { do: 'discard', ids: attachments.items.map(({ id }) => id) },
    ];
    return [{ ...after, attachments: queue.EMPTY }, [...effects, ...over]];
  }
  if (!after.ready) return [after, effects];
  const [next, id] = queue.started(attachments);
  if (id === null) return [after, effects];
  return [{ ...after, attachments: next }, [...effects, { do: 'upload', id, roomId: now.roomId }]];
}
