/** Events and states for the tests, with only what matters left to say. */
import type { FileInfo, Limits, Message, Partner, RoomResumed } from '../wire/types';
import type { Attached } from './attachments';
import { open, type Conversation, type Line } from './conversation';
import { allOf } from './lines';
import { initial, type Effect, type Input, type State, type WireEvent } from './state';
import { step } from './step';

export const ME = 'guest_me';
export const ROOM = { roomId: 'guest_me_guest_them', epoch: 7 };
export const PARTNER: Partner = {
  id: 'guest_them',
  username: 'QuietHeron1148',
  isGuest: true,
  location: null,
  gender: null,
  language: null,
};

/** None is what a server has by default: whoever passes a test has no number of their own. */
export const LIMITS: Limits = {
  textLength: 1234,
  fileSize: 20 * 1024 ** 2,
  roomFilesSize: 60 * 1024 ** 2,
  guestFilesSize: 30 * 1024 ** 2,
  filesPerMessage: 3,
  voiceDuration: 120,
  pictureTypes: ['image/jpeg', 'image/webp', 'image/gif'],
  picturePixels: 12_000_000,
  ringTimeout: 45,
  grace: 15,
  fileLifetime: 1800,
  undo: 7,
  consent: [],
  matching: { interests: 3, interestLength: 12, languages: 2, wants: [], only: true },
};

/** What is shown of the conversation; nothing without one. */
export function linesOf({ conversation }: Pick<State, 'conversation'>): Line[] {
  return conversation ? allOf(conversation.lines) : [];
}

export function conversation(): Conversation {
  return open({ ...ROOM, partner: PARTNER });
}

export function message(seq: number, changes: Partial<Message> = {}): Message {
  return {
    id: `msg_${seq}`,
    senderId: PARTNER.id,
    senderUsername: PARTNER.username,
    type: 'text',
    content: `text ${seq}`,
    timestamp: '2026-01-02T03:04:05.000Z',
    status: 'sent',
    seq,
    ...changes,
  };
}

export function fileInfo(changes: Partial<FileInfo> = {}): FileInfo {
  const query = 'file_1?expires=1&signature=x';
  return {
    fileId: 'file_1',
    filename: 'garden.png',
    fileType: 'image',
    fileTypeCategory: 'image',
    isImage: true,
    mimeType: 'image/png',
    fileSize: 1234,
    fileUrl: `/api/temp-files/temp/${query}`,
    tempUrl: `/api/temp-files/temp/${query}`,
    downloadUrl: `/api/temp-files/download/${query}`,
    expiresAt: '2026-01-02T04:04:05.000Z',
    ...changes,
  };
}

export function attached(id: string, changes: Partial<Attached> = {}): Attached {
  return {
    id,
    kind: 'file',
    name: `${id}.png`,
    mimeType: 'image/png',
    size: 1234,
    preview: null,
    duration: null,
    waveform: [],
    ...changes,
  };
}

export function resumed(changes: Partial<RoomResumed> = {}): RoomResumed {
  return {
    ...ROOM,
    seq: 0,
    partner: PARTNER,
    partnerAway: false,
    delivered: 0,
    gap: 0,
    ...changes,
  };
}

export function event<E extends WireEvent['event']>(
  name: E,
  payload: WireEvent<E>['payload'],
): Input {
  return { type: 'event', event: name, payload } as unknown as Input;
}

export function established(room: boolean | number, at?: string): Input {
  const seq = typeof room === 'number' ? room : 0;
  return event('connection:established', {
    userId: ME,
    username: 'CalmOtter1000',
    socketId: 's1',
    isGuest: true,
    sessionId: 'secret',
    limits: LIMITS,
    room: room === false ? null : { ...ROOM, seq, partner: PARTNER },
    ...(at !== undefined && { at }),
  });
}

export const CREATED: Input = {
  type: 'sessionCreated',
  created: {
    token: 'token-1',
    device: 'device-1',
    user: {
      id: ME,
      username: 'CalmOtter1000',
      isGuest: true,
      sessionId: 'secret',
      location: null,
      gender: null,
      language: null,
    },
  },
};

export const MATCHED = event('user:matched', { ...ROOM, matchedUser: PARTNER });

/** Feed inputs in turn; the last state, and the effects of the last input alone. */
export function run(from: State, ...inputs: Input[]): { state: State; effects: Effect[] } {
  let state = from;
  let effects: Effect[] = [];
  for (const input of inputs) [state, effects] = step(state, input);
  return { state, effects };
}

/** Connected, on the start page. */
export function connected(): State {
  const boot: Input = { type: 'boot', saved: null, online: true };
  return run(initial(), boot, CREATED, established(false)).state;
}

/** In a conversation that began a moment ago. */
export function talking(): State {
  const rested: Input = { type: 'timer', key: 'rest' };
  return run(connected(), { type: 'start', username: 'CalmOtter1000' }, MATCHED, rested).state;
}

export function write(clientId: string, content = `text ${clientId}`): Input {
  return { type: 'send', clientId, content, at: '2026-01-02T03:04:05.000Z' };
}

export function emitted(effects: Effect[]): [string, unknown][] {
  return effects.flatMap((effect) =>
    effect.do === 'emit' ? [[effect.event, effect.payload] as [string, unknown]] : [],
  );
}
