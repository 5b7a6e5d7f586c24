/**
 * What the guest means to send and the server does not have yet: a queue, uploaded one by one, so that
 * files arrive in the order in which they were chosen.
 *
 *     chosen ──send──▶ waiting ──start──▶ uploading ──▶ a message, and out of the queue
 *                         ▲                   │
 *                         └──────retry── failed(code)        remove: out of the queue from anywhere
 */
import type { Limits } from '../wire/types';
import type { Trouble } from './trouble';

export type Stage =
  | { at: 'chosen' }
  | { at: 'waiting' }
  | { at: 'uploading'; /** From 0 to 1. */ progress: number }
  | { at: 'failed'; trouble: Trouble };

/** A file picked, dropped, pasted or recorded. Its bytes are the shell's affair. */
export interface Attached {
  /** Becomes the client id of the message. */
  id: string;
  kind: 'file' | 'voice';
  name: string;
  mimeType: string;
  /** Bytes. */
  size: number;
  /** An address to show a picture by; null for what has no picture. */
  preview: string | null;
  /** Of a voice note, in seconds. */
  duration: number | null;
  waveform: readonly number[];
}

export interface Attachment extends Attached {
  stage: Stage;
}

export interface Queue {
  items: readonly Attachment[];
  /** The server asked for a pause. */
  held: boolean;
}

export const EMPTY: Queue = { items: [], held: false };

/** Answers that the same file would get again. */
const FINAL = new Set<Trouble>([
  'file_empty',
  'file_unreadable',
  'file_too_large',
  'too_large',
  'unsupported_type',
  'file_damaged',
  'picture_too_large',
  'not_audio',
  'duration_invalid',
  'room_storage_full',
  'guest_storage_full',
  'room_closed',
  'not_your_room',
]);

/** Whether another try with the same file may end better. */
export function worthRetrying(trouble: Trouble): boolean {
  return !FINAL.has(trouble);
}

/** What the server would say of it, known without asking; before it has told its limits, it is asked. */
function check({ size }: Attached, limits: Limits | null): Trouble | null {
  if (size === 0) return 'file_empty';
  return limits && size > limits.fileSize ? 'file_too_large' : null;
}

function staged(queue: Queue, matches: (item: Attachment) => boolean, stage: Stage): Queue {
  const items = queue.items.map((item) => (matches(item) ? { ...item, stage } : item));
  return { ...queue, items };
}

/** Put `files` last, as far as there is room; what the server would refuse has failed already. */
export function added(queue: Queue, files: readonly Attached[], limits: Limits | null): Queue {
  // More at once is a slip of the hand: a whole folder dropped.
  const most = limits?.filesPerMessage ?? Infinity;
  const fresh = files.slice(0, Math.max(0, most - queue.items.length)).map((file): Attachment => {
    const trouble = check(file, limits);
    return { ...file, stage: trouble ? { at: 'failed', trouble } : { at: 'chosen' } };
  });
  return { ...queue, items: [...queue.items, ...fresh] };
}

export function removed(queue: Queue, id: string): Queue {
  return { ...queue, items: queue.items.filter((item) => item.id !== id) };
}

/** Everything chosen waits for its turn; with `id`, this one alone. */
export function released(queue: Queue, id?: string): Queue {
  const meant = (item: Attachment): boolean =>
    item.stage.at === 'chosen' && (id === undefined || item.id === id);
  return staged(queue, meant, { at: 'waiting' });
}

export function retried(queue: Queue, id: string): Queue {
  const again = ({ id: own, stage }: Attachment): boolean =>
    own === id && stage.at === 'failed' && worthRetrying(stage.trouble);
  return staged(queue, again, { at: 'waiting' });
}

/** The next one's turn: its id, or null while one is on its way, none waits, or the server wants a pause. */
export function started(queue: Queue): [Queue, string | null] {
  const next = queue.items.find(({ stage }) => stage.at === 'waiting');
  if (!next || queue.held || queue.items.some(({ stage }) => stage.at === 'uploading'))
    return [queue, null];
  return [staged(queue, (item) => item === next, { at: 'uploading', progress: 0 }), next.id];
}

export function uploading(queue: Queue, id: string): Attachment | undefined {
  return queue.items.find((item) => item.id === id && item.stage.at === 'uploading');
}

export function progressed(queue: Queue, id: string, progress: number): Queue {
  const item = uploading(queue, id);
  return staged(queue, (candidate) => candidate === item, { at: 'uploading', progress });
}

export function failed(queue: Queue, id: string, trouble: Trouble): Queue {
  const item = uploading(queue, id);
  return staged(queue, (candidate) => candidate === item, { at: 'failed', trouble });
}

/** Back among the waiting, and nothing goes out until the pause is over. */
export function postponed(queue: Queue, id: string): Queue {
  const item = uploading(queue, id);
  return {
    ...staged(queue, (candidate) => candidate === item, { at: 'waiting' }),
    held: item !== undefined || queue.held,
  };
}
