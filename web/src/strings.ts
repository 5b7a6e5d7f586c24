/** Every word of the page, in English. Texts for a `code` fall back to the server's own message. */
import type { Attachment } from './chat/attachments';
import type {
  Bring,
  CallKind,
  CallNotice,
  CallRecord,
  DeviceTrouble,
  MediaNotice,
} from './chat/call';
import type { Ending, MessageState, Trouble } from './chat/conversation';
import type { FileKind } from './chat/files';
import { RECORDING_MAX_S, type MicrophoneTrouble } from './chat/recorder';
import { clockText, extensionOf, sizeText } from './text/measure';
import type { NameProblem } from './text/name';

const number = new Intl.NumberFormat('en');

function plural(count: number, one: string, many: string): string {
  return `${number.format(count)} ${count === 1 ? one : many}`;
}

const TROUBLES: Partial<Record<string, string>> = {
  rate_limited: 'That was a little fast. Please wait a moment.',
  session_anew:
    'Your earlier session had ended, so you have a fresh one. Everything works as before.',
  unreachable: 'The server cannot be reached right now. Please try again in a moment.',
  replaced: 'Passerby is open for you in another tab or window, and goes on there.',
  file_not_found: 'The server has this file no longer.',
  too_many_files: 'That was a lot at once: only the first 20 files were taken.',
};

const UPLOAD_TROUBLES: Partial<Record<string, string>> = {
  file_empty: 'This file is empty.',
  file_too_large: 'This file is too large: 10 MB is the most.',
  room_storage_full: 'This conversation cannot hold more files.',
  guest_storage_full: 'You have shared as much as one may in a conversation.',
  storage_full: 'The server has no room for files right now. Please try again in a while.',
  unsupported_type: 'This cannot be sent. Pictures can be JPEG, PNG, WebP or GIF.',
  picture_too_large: 'This picture has too many pixels.',
  not_audio: 'This does not sound like a voice note.',
  duration_invalid: 'This voice note is too short or too long.',
  not_in_room: 'The server sees you in no conversation right now.',
  not_your_room: 'The server sees you in another conversation.',
  room_closed: 'This conversation is over.',
  rate_limited: 'That was a little fast. It goes on in a moment.',
  upload_timeout: 'The upload took too long.',
  unreachable: 'The connection broke off.',
};

const MICROPHONE_TROUBLES: Record<MicrophoneTrouble, string> = {
  mic_refused:
    'The microphone is blocked for this page. Allow it in your browser’s settings for this site, then try again.',
  mic_absent: 'No microphone was found. Connect one, then try again.',
  mic_in_use: 'The microphone is in use by another program. Close that, then try again.',
  mic_insecure:
    'Browsers allow recording only on secure pages, and this one was opened without https.',
  mic_unsupported: 'This browser cannot record voice notes.',
  mic_failed: 'The recording did not work. Please try again.',
};

const DEVICE_TROUBLES: Record<DeviceTrouble, string> = {
  mic_refused:
    'The microphone is blocked for this page. Allow it in your browser’s settings for this site, or join and listen only.',
  mic_absent: 'No microphone was found. Connect one, or join and listen only.',
  mic_in_use: 'The microphone is in use by another program. Close that, or join and listen only.',
  mic_failed: 'The microphone does not work right now. You can still join and listen.',
  camera_refused:
    'The camera is blocked for this page. Allow it in your browser’s settings for this site, or join with sound only.',
  camera_absent: 'No camera was found. Connect one, or join with sound only.',
  camera_in_use: 'The camera is in use by another program. Close that, or join with sound only.',
  camera_failed: 'The camera does not work right now. You can still join with sound only.',
  devices_insecure:
    'Browsers allow calls only on secure pages, and this one was opened without https.',
  devices_unsupported: 'This browser cannot make calls.',
};

const MEDIA_NOTICES: Partial<Record<MediaNotice, string>> = {
  mic_refused:
    'The microphone is blocked for this page, so nobody hears you. Allow it in your browser’s settings for this site.',
  mic_absent: 'No microphone was found. You hear the other, but are not heard.',
  mic_in_use: 'The microphone is in use by another program. You are not heard right now.',
  mic_failed: 'The microphone does not work right now. You are not heard.',
  mic_gone: 'Your microphone was unplugged. You are not heard until you choose another.',
  mic_replaced: 'Your microphone was unplugged. You are heard by another one now.',
  camera_refused:
    'The camera is blocked for this page. Allow it in your browser’s settings for this site.',
  camera_absent: 'No camera was found. The call goes on with sound.',
  camera_in_use: 'The camera is in use by another program. The call goes on with sound.',
  camera_failed: 'The camera does not work right now. The call goes on with sound.',
  camera_gone: 'Your camera was unplugged. The call goes on with sound.',
  pictures_off: 'The connection is weak, so your picture is off to keep the sound.',
};

const CALL_NOTICES: Record<CallNotice, string> = {
  unreachable: 'The server cannot be reached right now, so there was no call.',
  refused: 'The call could not be made. Please try again in a moment.',
  lost: 'The call broke off, and no way back was found. You can call again.',
  failed: 'No connection between the two of you was found. You can go on in writing.',
};

/** A call that is over: who, what, and how long. */
function callLine({ kind, outgoing, outcome, seconds }: CallRecord, name: string): string {
  const what = kind === 'video' ? 'Video call' : 'Audio call';
  const which = kind === 'video' ? 'video call' : 'audio call';
  const who = outgoing ? 'You called' : `${name} called`;
  switch (outcome) {
    case 'talked':
      return `${what} · ${who} · ${clockText(seconds)}`;
    case 'lost':
      return `${what} · ${who} · broke off after ${clockText(seconds)}`;
    case 'declined':
      return outgoing ? `${name} declined your ${which}` : `You declined ${name}’s ${which}`;
    case 'missed':
      return `You missed ${name}’s ${which}`;
    case 'unanswered':
      return `${name} did not answer your ${which}`;
    case 'cancelled':
      return `You called off your ${which}`;
    case 'failed':
      return `${what} · ${who} · not connected`;
  }
}

const KINDS: Record<FileKind, string> = {
  image: 'Picture',
  video: 'Video',
  audio: 'Sound',
  document: 'File',
};

/** What a file is, in a word or two: `PDF · 1.2 MB`. */
function fileFacts(name: string, kind: FileKind, size: number): string {
  return `${extensionOf(name) || KINDS[kind]} · ${sizeText(size)}`;
}

function attachmentState({ stage, size }: Attachment): string {
  switch (stage.at) {
    case 'chosen':
      return sizeText(size);
    case 'waiting':
      return 'Waiting for its turn';
    case 'uploading':
      return stage.progress < 1
        ? `Sending, ${Math.floor(stage.progress * 100)} %`
        : 'Almost there…';
    case 'failed':
      return UPLOAD_TROUBLES[stage.trouble.code] ?? 'It could not be sent.';
  }
}

export function troubleText({ code, message }: Trouble): string {
  return TROUBLES[code] ?? message;
}

const NAME_PROBLEMS: Record<NameProblem, string> = {
  short: 'At least 3 characters, please.',
  long: 'At most 20 characters, please.',
  characters: 'Letters A–Z, digits and _ only, please.',
};

const ENDINGS: Record<Ending, (name: string) => string> = {
  left: (name) => `${name} has moved on.`,
  disconnected: (name) => `${name} lost the connection and did not come back.`,
  session_ended: (name) => `${name} is gone.`,
  partner_offline: (name) => `While you were away, ${name} went on.`,
  away: (name) => `This conversation with ${name} ended while you were away.`,
  expired: (name) =>
    `Your session had ended, and the conversation with ${name} with it. You have a fresh one.`,
};

const MESSAGE_STATES: Record<MessageState, string> = {
  sending: 'Sending',
  sent: 'Sent',
  delivered: 'Delivered',
  failed: 'Not sent',
  undelivered: 'Not delivered',
  received: '',
};

export const strings = {
  brand: 'Passerby',
  connection: {
    connecting: 'Connecting…',
    connected: 'Connected',
    reconnecting: 'Reconnecting…',
    offline: 'Offline',
    stopped: 'Not connected',
  },
  start: {
    title: 'Say hello to a passer-by.',
    lede: 'One stranger, one conversation. No sign-up, and nothing is kept when you part.',
    name: 'Your name for today',
    nameHint: '3–20 letters, digits or _',
    nameProblem: (problem: NameProblem): string => NAME_PROBLEMS[problem],
    shuffle: 'Another name',
    button: 'Start',
    starting: 'Starting…',
  },
  counts: {
    online: (count: number): string => (count === 1 ? 'person here' : 'people here'),
    talking: (pairs: number): string => plural(pairs, 'conversation', 'conversations'),
    number: (count: number): string => number.format(count),
  },
  search: {
    title: 'Looking for a passer-by…',
    calm: 'This usually takes a moment.',
    nobody: 'Nobody else is looking just now. Stay a while: the next one to come is yours.',
    cancel: 'Cancel',
  },
  conversation: {
    region: (name: string): string => `Conversation with ${name}`,
    log: 'Messages',
    met: (name: string): string => `You and ${name} have just met. Say hello.`,
    began: (name: string): string => `You are talking with ${name}.`,
    restoring: 'Bringing your conversation back…',
    you: 'You',
    typing: (name: string): string => `${name} is typing…`,
    away: (name: string): string =>
      `${name} lost the connection. What you write waits a little while for them.`,
    gap: (count: number): string =>
      `${plural(count, 'earlier message is', 'earlier messages are')} no longer available.`,
    unknownType: 'This kind of message cannot be shown here.',
    state: (state: MessageState): string => MESSAGE_STATES[state],
    failed: (trouble: Trouble): string => `Not sent. ${troubleText(trouble)}`,
    retry: 'Try again',
    unseen: (count: number): string => plural(count, 'new message', 'new messages'),
    next: 'Next',
    leave: 'Leave',
    escapeHint: 'Press Escape once more to move on to someone new.',
    ended: (ending: Ending, name: string): string => ENDINGS[ending](name),
    findNew: 'Find someone new',
  },
  composer: {
    label: 'Message',
    placeholder: 'Write a message',
    send: 'Send',
    keys: 'Enter sends, Shift+Enter makes a new line, Escape twice moves on.',
    keysInCall: 'Enter sends, Shift+Enter makes a new line.',
    count: (count: number, most: number): string =>
      `${number.format(count)} of ${number.format(most)}`,
    over: 'The message is too long to send.',
    held: 'You write faster than messages may go out. They follow in a moment.',
  },
  attachments: {
    attach: 'Attach files',
    tray: 'Files to send',
    name: ({ kind, name, duration }: Attachment): string =>
      kind === 'voice' ? `Voice note, ${clockText(duration ?? 0)}` : name,
    state: attachmentState,
    remove: (name: string): string => `Remove ${name}`,
    cancel: (name: string): string => `Cancel sending ${name}`,
    retry: 'Try again',
    retryOf: (name: string): string => `Try again to send ${name}`,
    send: (count: number): string => (count === 1 ? 'Send file' : `Send ${count} files`),
    drop: (name: string): string => `Drop files to share them with ${name}`,
    dropHint: 'You can look at them before they are sent.',
  },
  file: {
    nameless: 'File without a name',
    facts: fileFacts,
    picture: (name: string): string => `Picture: ${name}`,
    open: (name: string): string => `Open picture ${name}`,
    view: 'Picture',
    close: 'Close',
    video: (name: string): string => `Video: ${name}`,
    download: 'Download',
    downloadOf: (name: string): string => `Download ${name}`,
    gone: 'Gone with the conversation',
    unavailable: 'This could not be loaded.',
    expired: 'This has expired: files stay for a limited time.',
    reload: 'Try again',
  },
  player: {
    voice: 'Voice note',
    play: 'Play',
    pause: 'Pause',
    position: 'Position',
    positionOf: (at: number, length: number): string => `${clockText(at)} of ${clockText(length)}`,
    clock: clockText,
    rate: (rate: number): string => `${rate}×`,
    speed: (rate: number): string => `Speed: ${rate} times`,
  },
  recorder: {
    record: 'Record a voice note',
    hint: 'Tap to record, or hold and let go to send',
    region: 'Voice note',
    opening: 'Waiting for the microphone…',
    recording: 'Recording.',
    held: 'Let go to send, slide away to cancel',
    stopping: 'One moment…',
    preview: 'Recorded. Listen to it, send it or discard it.',
    keys: 'Escape cancels the recording.',
    // The end is nobody's business until it comes near.
    time: (seconds: number): string =>
      seconds < RECORDING_MAX_S - 30
        ? clockText(seconds)
        : `${clockText(seconds)} / ${clockText(RECORDING_MAX_S)}`,
    cancel: 'Cancel recording',
    discard: 'Discard voice note',
    stop: 'Stop and listen',
    send: 'Send voice note',
    trouble: (code: MicrophoneTrouble): string => MICROPHONE_TROUBLES[code],
    dismiss: 'Close',
  },
  call: {
    audio: 'Audio call',
    video: 'Video call',
    region: (name: string): string => `Call with ${name}`,
    calls: (name: string, kind: CallKind): string =>
      kind === 'video' ? `${name} is calling, with video` : `${name} is calling`,
    answer: 'Answer',
    answerVideo: 'Answer with camera',
    answerAudio: 'Answer without camera',
    decline: 'Decline',
    calling: (name: string): string => `Calling ${name}…`,
    connecting: 'Connecting…',
    recovering: 'The connection is gone. Trying again…',
    weak: 'The connection is weak',
    good: 'Good connection',
    away: (name: string): string => `${name} lost the connection. Waiting a moment…`,
    opening: (bring: Bring): string =>
      bring === 'video'
        ? 'Waiting for your camera and microphone…'
        : 'Waiting for your microphone…',
    openingHint: 'Your browser may ask you to allow it.',
    look: 'This is what the other will see',
    lookAudio: 'Before you call',
    place: 'Call',
    join: 'Join',
    cancel: 'Cancel',
    again: 'Try again',
    soundOnly: 'Sound only',
    listenOnly: 'Listen only',
    watchOnly: 'Watch and listen only',
    trouble: (code: DeviceTrouble): string => DEVICE_TROUBLES[code],
    hide: 'Hide my address',
    hideHint: 'The call takes a detour, so that the other cannot learn where you connect from.',
    hidden: 'Your address stays hidden: calls here take a detour.',
    mute: 'Mute microphone',
    unmute: 'Unmute microphone',
    muted: 'You are muted',
    useMicrophone: 'Turn microphone on',
    cameraOn: 'Turn camera on',
    cameraOff: 'Turn camera off',
    flip: 'Switch to the other camera',
    share: 'Share screen',
    unshare: 'Stop sharing the screen',
    pictureInPicture: 'Small window',
    fullScreen: 'Full screen',
    leaveFullScreen: 'Leave full screen',
    controls: 'Controls of the call',
    settings: 'Devices',
    hangUp: 'Hang up',
    microphone: 'Microphone',
    camera: 'Camera',
    speaker: 'Speaker',
    device: (label: string, number: number): string => label || `Device ${number}`,
    alerts: 'Tell me of calls while I look elsewhere',
    self: 'Your picture',
    selfScreen: 'Your screen',
    selfKeys: 'Your picture. Arrow keys move it to another corner.',
    other: (name: string): string => `Picture of ${name}`,
    hear: 'Tap to hear the call',
    duration: 'Duration',
    clock: clockText,
    notice: (notice: CallNotice): string => CALL_NOTICES[notice],
    media: (notice: MediaNotice): string => MEDIA_NOTICES[notice] ?? '',
    dismiss: 'Close',
    rejoin: (name: string): string => `You were in a call with ${name}. Join it again?`,
    rejoinAudio: 'Join with sound',
    rejoinVideo: 'Join with camera',
    line: callLine,
  },
  stopped: {
    title: 'Paused here',
    useHere: 'Use here',
    reconnect: 'Connect again',
  },
  title: (unread: number, ringing: string | null): string =>
    ringing !== null
      ? `${ringing} · Passerby`
      : unread > 0
        ? `(${number.format(unread)}) Passerby`
        : 'Passerby',
};
