/** Every word of the page, in English. Texts for a `code` fall back to the server's own message. */
import type { Ending, MessageState, Trouble } from './chat/conversation';
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
};

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
    count: (count: number, most: number): string =>
      `${number.format(count)} of ${number.format(most)}`,
    over: 'The message is too long to send.',
    held: 'You write faster than messages may go out. They follow in a moment.',
  },
  stopped: {
    title: 'Paused here',
    useHere: 'Use here',
    reconnect: 'Connect again',
  },
  title: (unread: number): string =>
    unread > 0 ? `(${number.format(unread)}) Passerby` : 'Passerby',
};
