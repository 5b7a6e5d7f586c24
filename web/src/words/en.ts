/** Every word of the page, in English. The other languages have the same, or TypeScript complains. */
import type { CallKind, CallRecord, Outcome } from '../chat/call';
import type { ConsentStep, MessageStep } from '../chat/consent';
import type { Ending, MessageState } from '../chat/conversation';
import type { News } from '../chat/news';
import type { InterestProblem, Mode } from '../chat/preferences';
import type { PartnerState } from '../chat/presence';
import type { MicrophoneTrouble } from '../chat/recorder';
import type { Search } from '../chat/state';
import type { ClientTrouble, LaterCode } from '../chat/trouble';
import type { NameProblem } from '../text/name';
import type { Code, Limits, MatchingLimits } from '../wire/types';
import type { Formats } from './formats';
import { typed } from './typed';

/** A sentence; with a number in it, once it is known what the server allows. */
export type Sentence = string | ((limits: Limits) => string);

const english = (f: Formats) => {
  const failed = 'Something went wrong on the server. Please try again in a moment.';
  const brokenOff = 'The connection broke off.';
  const misunderstood = 'This browser and the server do not understand each other.';
  const sessionEnded = 'Your session has ended.';
  const kinds: Record<CallKind, string> = { audio: 'Audio call', video: 'Video call' };
  const who = ({ outgoing }: CallRecord, name: string): string =>
    outgoing ? 'You called' : `${name} called`;

  return {
    lang: 'en',
    dir: 'ltr' as 'ltr' | 'rtl',
    brand: 'Passerby',
    language: {
      label: 'Language',
      failed: 'This language cannot be loaded right now.',
    },
    connection: {
      connecting: 'Connecting…',
      connected: 'Connected',
      reconnecting: 'Reconnecting…',
      offline: 'Offline',
      stopped: 'Not connected',
      waits: 'What you write is sent when the connection is back.',
    },
    start: {
      title: 'Say hello to a passer-by.',
      lede: 'One stranger, one conversation. No sign-up, and nothing is kept when you part.',
      name: 'Your name for today',
      nameHint: (least: number, most: number): string =>
        `${f.number(least)}–${f.number(most)} letters, digits or _`,
      nameProblem: typed<Record<NameProblem, (least: number, most: number) => string>>({
        short: (least) => `At least ${f.number(least)} characters, please.`,
        long: (_, most) => `At most ${f.number(most)} characters, please.`,
        characters: () => 'Letters A–Z, digits and _ only, please.',
      }),
      nameRefused: 'The server does not take this name.',
      shuffle: 'Another name',
      button: 'Start',
      starting: 'Starting…',
      opensIn: (seconds: number): string => `Opens in ${f.clock(seconds)}`,
      opensAt: (at: Date, now: Date): string =>
        `People meet here at certain hours. Next time: ${f.moment(at, now)}.`,
      opened: 'It has opened. You can start now.',
    },
    /** Whom a guest would like to meet. */
    meet: {
      interests: 'What do you like?',
      interestsHint: 'If you want. Enter adds a word.',
      interestsExample: 'Music, night trains…',
      chosen: 'Your interests',
      remove: (interest: string): string => `Remove ${interest}`,
      added: (interest: string): string => `${interest} is added.`,
      removed: (interest: string): string => `${interest} is removed.`,
      suggestions: 'Others like',
      add: (interest: string): string => `Add ${interest}`,
      problem: typed<Record<InterestProblem, (limits: MatchingLimits) => string>>({
        many: ({ interests }) =>
          f.plural(interests, {
            one: 'At most # interest. Remove it to add another.',
            other: 'At most # interests. Remove one to add another.',
          }),
        long: ({ interestLength }) =>
          `At most ${f.number(interestLength)} characters for one interest, please.`,
        repeated: () => 'You have this one already.',
        unusable: () => 'Letters, numbers or emoji, please, without < and >.',
      }),
      more: (mode: Mode, languages: readonly string[]): string =>
        [
          { text: 'By text', audio: 'By voice', video: 'By video' }[mode],
          languages.length > 0 ? f.all(languages.map(f.language)) : 'any language',
        ].join(' · '),
      mode: 'How would you like to talk?',
      modes: typed<Record<Mode, string>>({ text: 'Text', audio: 'Audio', video: 'Video' }),
      languages: 'Languages that you speak',
      languagesMost: (most: number): string =>
        f.plural(most, { one: 'At most # language.', other: 'At most # languages.' }),
      only: 'Only someone who fits, however long it takes',
    },
    counts: {
      online: (count: number): string =>
        f.plural(count, { one: '# other person here', other: '# other people here' }),
      alone: 'Nobody else is here just now',
      talking: (pairs: number): string =>
        f.plural(pairs, { one: '# conversation', other: '# conversations' }),
    },
    search: {
      title: 'Looking for a passer-by…',
      calm: 'This usually takes a moment.',
      nobody: 'Nobody else is looking just now. Stay a while: the next one to come is yours.',
      /** Whom it looks for now. */
      stage: typed<
        Record<
          Search['stage'],
          (interests: readonly string[], languages: readonly string[]) => string
        >
      >({
        interests: (interests) => `Looking for someone who likes ${f.either(interests)}…`,
        language: (_, languages) =>
          languages.length > 0
            ? `Looking for someone who speaks ${f.either(languages.map(f.language))}…`
            : 'Looking for someone who speaks your language…',
        anyone: () => 'Looking for anyone who comes by…',
        again: () => 'Looking for anyone, perhaps someone you have met before…',
      }),
      elapsed: (seconds: number): string => `Searching for ${f.span(seconds)}`,
      others: (count: number): string =>
        f.plural(count, {
          one: '# other person is searching',
          other: '# other people are searching',
        }),
      usual: (seconds: number): string =>
        `At this hour it usually takes about ${f.about(seconds)}.`,
      left: (name: string): string => `You have moved on from ${name}.`,
      undo: 'Undo',
      undoing: 'Going back…',
      undoFor: (seconds: number): string =>
        f.plural(seconds, {
          one: 'You can undo this for # second.',
          other: 'You can undo this for # seconds.',
        }),
      cancel: 'Cancel',
      alerts: 'Tell me when someone comes',
    },
    conversation: {
      region: (name: string): string => `Conversation with ${name}`,
      about: (name: string): string => `About ${name}, and sounds`,
      log: 'Messages',
      met: (name: string): string => `You and ${name} have just met. Say hello.`,
      metBefore: (name: string): string => `You and ${name} have met before. Say hello once more.`,
      began: (name: string): string => `You are talking with ${name}.`,
      back: (name: string): string => `${name} is back. The conversation goes on.`,
      shared: (interests: readonly string[], language: string | null): string => {
        if (language === null) return `You both like ${f.all(interests)}.`;
        const speak = `speak ${f.language(language)}`;
        if (interests.length === 0) return `You both ${speak}.`;
        return `You both like ${f.all(interests)}, and you both ${speak}.`;
      },
      topic: 'Something to begin with',
      topicUse: 'Use this',
      callOffer: typed<Record<Exclude<Mode, 'text'>, string>>({
        audio: 'You both came to talk by voice. Call when you are ready.',
        video: 'You both came for video. Call when you are ready.',
      }),
      restoring: 'Bringing your conversation back…',
      author: (name: string | null): string => `${name ?? 'You'}:`,
      typing: (name: string): string => `${name} is typing…`,
      away: (name: string): string =>
        `${name} lost the connection. What you write waits a little while for them.`,
      reloaded: (name: string): string => `${name} reloaded the page.`,
      gap: (count: number): string =>
        f.plural(count, {
          one: '# earlier message is no longer available.',
          other: '# earlier messages are no longer available.',
        }),
      unknownType: 'This kind of message cannot be shown here.',
      state: typed<Record<MessageState, string>>({
        sending: 'Sending',
        asking: 'Waiting for permission',
        sent: 'Sent',
        delivered: 'Delivered',
        failed: 'Not sent',
        undelivered: 'Not delivered',
        received: '',
      }),
      failed: (why: string): string => `Not sent. ${why}`,
      retry: 'Try again',
      unseen: (count: number): string =>
        f.plural(count, { one: '# new message', other: '# new messages' }),
      next: 'Next',
      leave: 'Leave',
      report: 'Report',
      reports: 'My reports',
      block: 'Block',
      blockAsk: (name: string): string => `Block ${name}? You leave, and will not meet again.`,
      blockNot: 'Keep talking',
      blocked: (name: string): string => `You will not meet ${name} again.`,
      escapeHint: 'Press Escape once more to move on to someone new.',
      ended: typed<Record<Ending, (name: string) => string>>({
        left: (name) => `${name} has moved on.`,
        disconnected: (name) => `${name} lost the connection and did not come back.`,
        session_ended: (name) => `${name} is gone.`,
        partner_offline: (name) => `While you were away, ${name} went on.`,
        away: (name) => `This conversation with ${name} ended while you were away.`,
        expired: (name) =>
          `Your session ended, so the conversation with ${name} ended too. You have a new session.`,
      }),
      mayReturn: (name: string, seconds: number): string =>
        f.plural(seconds, {
          one: `${name} pressed Next. They can come back for # second.`,
          other: `${name} pressed Next. They can come back for # seconds.`,
        }),
      findNew: 'Find someone new',
    },
    /** What the partner does, under the name. */
    partner: typed<Record<PartnerState, string>>({
      here: 'Here',
      typing: 'Typing…',
      away: 'Away',
      reloaded: 'Reloaded the page',
      inCall: 'In a call with you',
      unknown: 'No news right now',
      gone: 'Gone',
    }),
    composer: {
      label: 'Message',
      placeholder: 'Write a message',
      send: 'Send',
      keys: 'Enter sends, Shift+Enter makes a new line, Escape twice moves on.',
      keysInCall: 'Enter sends, Shift+Enter makes a new line.',
      count: (count: number, most: number): string => `${f.number(count)} of ${f.number(most)}`,
      countOver: (least: number, most: number): string =>
        `Over ${f.number(least)} of ${f.number(most)}`,
      over: 'The message is too long to send.',
      cut: 'The text was too long: its end was left out.',
      held: 'Too many messages at once. The rest will be sent soon.',
    },
    attachments: {
      attach: 'Attach files',
      tray: 'Files to send',
      voice: (seconds: number): string => `Voice note, ${f.clock(seconds)}`,
      waiting: 'Waiting for its turn',
      sending: (part: number): string => `Sending, ${f.percent(part)}`,
      almost: 'Almost there…',
      remove: (name: string): string => `Remove ${name}`,
      cancel: (name: string): string => `Cancel sending ${name}`,
      retry: 'Try again',
      retryOf: (name: string): string => `Try again to send ${name}`,
      send: (count: number): string => f.plural(count, { one: 'Send file', other: 'Send # files' }),
      drop: (name: string): string => `Drop files to share them with ${name}`,
      dropHint: 'You can look at them before they are sent.',
    },
    consent: {
      region: 'What the other one asks for',
      asks: typed<Record<ConsentStep, (name: string) => string>>({
        links: (name) => `${name} wants to send a link.`,
        pictures: (name) => `${name} wants to send a picture.`,
        files: (name) => `${name} wants to send a file.`,
        voice: (name) => `${name} wants to send a voice note.`,
        audio: (name) => `${name} wants to call you.`,
        video: (name) => `${name} wants to call you with video.`,
      }),
      /** Those of messages. */
      declined: typed<Record<MessageStep, string>>({
        links: 'They do not want links now.',
        pictures: 'They do not want pictures now.',
        files: 'They do not want files now.',
        voice: 'They do not want voice notes now.',
      }),
      again: (seconds: number): string => `In ${f.about(seconds)} you can try again.`,
      allow: 'Allow',
      notNow: 'Not now',
      callWaits: (name: string): string => `${name} is asked whether you may call.`,
      waits: (name: string): string => `${name} is asked first.`,
      show: 'Show picture',
      reveal: (name: string): string => `Show and hear ${name}`,
    },
    file: {
      nameless: 'File without a name',
    },
    player: {
      voice: 'Voice note',
    },
    recorder: {
      record: 'Record a voice note',
      hint: 'Tap to record, or hold and let go to send',
      keys: 'Escape cancels the recording.',
      trouble: typed<Record<MicrophoneTrouble, string>>({
        mic_refused:
          'The microphone is blocked for this page. Allow it in your browser’s settings for this site, then try again.',
        mic_absent: 'No microphone was found. Connect one, then try again.',
        mic_in_use: 'The microphone is in use by another program. Close that, then try again.',
        mic_insecure:
          'Browsers allow recording only on secure pages, and this one was opened without https.',
        mic_unsupported: 'This browser cannot record voice notes.',
        mic_failed: 'The recording did not work. Please try again.',
        part_missing: 'The recorder could not be loaded. Please try again in a moment.',
      }),
      dismiss: 'Close',
    },
    call: {
      ...kinds,
      calls: (name: string, kind: CallKind): string =>
        kind === 'video' ? `${name} is calling, with video` : `${name} is calling`,
      /** A call that is over: who, what, and how long. */
      line: typed<Record<Outcome, (call: CallRecord, name: string) => string>>({
        talked: (call, name) =>
          `${kinds[call.kind]} · ${who(call, name)} · ${f.clock(call.seconds)}`,
        lost: (call, name) =>
          `${kinds[call.kind]} · ${who(call, name)} · broke off after ${f.clock(call.seconds)}`,
        declined: ({ kind, outgoing }, name) =>
          outgoing ? `${name} declined your ${kind} call` : `You declined ${name}’s ${kind} call`,
        missed: ({ kind }, name) => `You missed ${name}’s ${kind} call`,
        unanswered: ({ kind }, name) => `${name} did not answer your ${kind} call`,
        cancelled: ({ kind }) => `You cancelled your ${kind} call`,
        failed: (call, name) => `${kinds[call.kind]} · ${who(call, name)} · not connected`,
      }),
    },
    stopped: {
      title: 'Paused here',
      useHere: 'Use here',
      reconnect: 'Connect again',
    },
    /** What the server answers when it cannot do what it was asked. */
    codes: typed<Record<Exclude<Code, LaterCode>, Sentence>>({
      invalid_payload: 'The server could not make sense of this.',
      text_empty: 'The message has no visible text.',
      text_too_long: ({ textLength }) =>
        `The message is too long. At most ${f.number(textLength)} characters are allowed.`,
      text_control_characters: 'There are characters in it that cannot be sent.',
      not_in_room: 'You are not in a conversation.',
      call_active: 'There is a call already.',
      call_declined: 'Your call was declined. Wait a little before you ring again.',
      no_call: 'This call is over.',
      no_offer: 'There is no call to be answered.',
      too_many_candidates: 'This call could not find a connection.',
      already_in_room: 'You are in a conversation already.',
      not_searching: 'There is no search to cancel.',
      too_many_interests: ({ matching: { interests } }) =>
        f.plural(interests, {
          one: 'Only # interest can be searched for at once.',
          other: 'Only # interests can be searched for at once.',
        }),
      interest_too_long: ({ matching: { interestLength } }) =>
        `One of your interests is too long. At most ${f.number(interestLength)} characters are allowed.`,
      interest_invalid: 'One of your interests has characters in it that cannot be searched for.',
      interest_repeated: 'One of your interests is there twice.',
      language_invalid: 'One of your languages is not known to the server.',
      mode_unknown: 'The server does not know this way to talk.',
      wants_invalid: 'The server could not make sense of whom you would like to meet.',
      wants_disabled: 'This cannot be asked for here.',
      house_closed: 'Nobody can be met here at this hour. Please come back later.',
      consent_declined: 'The other one does not want this now.',
      consent_pending: 'The other one is asked first. Wait for the answer.',
      step_closed: 'The other one’s program cannot receive this.',
      new_device: 'This browser is new here, and cannot send this yet.',
      message_held: 'It was held back by a check of this place.',
      repeated_message: 'The same went to several people already.',
      proof_invalid: 'The work of your browser was not accepted. Please try again.',
      undo_impossible:
        'There is no way back any more: the other has moved on, or the time was over.',
      rate_limited: 'That was a little fast. Please wait a moment.',
      token_required: sessionEnded,
      token_expired: sessionEnded,
      token_invalid: sessionEnded,
      session_not_found: sessionEnded,
      session_ended: sessionEnded,
      replaced: 'Passerby is open for you in another tab or window, and goes on there.',
      file_not_found: 'The server has this file no longer.',
      not_your_room: 'You are in another conversation.',
      link_invalid: 'This link does not lead to a file of this conversation.',
      room_closed: 'This conversation is over.',
      not_found: 'The server has this no longer.',
      method_not_allowed: failed,
      too_large: 'This is more than the server takes.',
      unsupported_media_type: failed,
      range_not_satisfiable: failed,
      http_error: failed,
      internal: failed,
      unavailable: 'The server cannot do this right now. Please try again in a moment.',
      // Nobody reads most of these, for the page connects again by itself.
      already_upgraded: brokenOff,
      backlog_overflow: brokenOff,
      client_disconnect: brokenOff,
      connect_timeout: brokenOff,
      connection_unknown: brokenOff,
      duplicate_poll: brokenOff,
      extension_not_agreed: brokenOff,
      fragments_out_of_order: brokenOff,
      message_too_big: brokenOff,
      outbox_overflow: brokenOff,
      parse_error: brokenOff,
      ping_timeout: brokenOff,
      request_timeout: brokenOff,
      server_disconnect: brokenOff,
      server_error: brokenOff,
      stalled: brokenOff,
      text_not_utf8: brokenOff,
      too_many_packets: brokenOff,
      transport_close: brokenOff,
      transport_error: brokenOff,
      upgrade_not_completed: brokenOff,
      bad_method: misunderstood,
      bad_request: misunderstood,
      protocol_unsupported: misunderstood,
      transport_unknown: misunderstood,
      origin_forbidden: 'This page may not use this server.',
      server_shutting_down: 'The server is being restarted. Please try again in a moment.',
    }),
    troubles: typed<Record<ClientTrouble, Sentence>>({
      unreachable: 'The server cannot be reached right now. Please try again in a moment.',
      unexpected: 'Something did not work. Please try again in a moment.',
      too_many_files: ({ filesPerMessage }) =>
        f.plural(filesPerMessage, {
          one: 'That was a lot at once: only the first file was taken.',
          other: 'That was a lot at once: only the first # files were taken.',
        }),
      file_unreadable:
        'This file can no longer be read: it was moved, changed or deleted after you chose it.',
      part_missing:
        'This part of the page could not be loaded. If your connection is fine, load the page again.',
      session_anew:
        'Your earlier session ended, so you have a new one. Everything works as before.',
    }),
    /** For who looks elsewhere. */
    news: typed<Record<News['what'], (name: string) => string>>({
      matched: (name) => `You are talking with ${name}.`,
      message: (name) => `${name} has written to you.`,
      asked: (name) => `${name} asks whether you allow something.`,
      ended: (name) => `The conversation with ${name} is over.`,
    }),
    sound: 'Sounds while you look elsewhere',
    part: {
      again: 'Load the page again',
    },
    title: {
      plain: 'Passerby',
      unread: (count: number): string => `(${f.number(count)}) Passerby`,
      ringing: (calls: string): string => `${calls} · Passerby`,
      matched: (name: string): string => `${name} is here · Passerby`,
      asked: (name: string): string => `${name} asks you · Passerby`,
      ended: 'Conversation over · Passerby',
    },
  };
};

export default english;
export type Words = ReturnType<typeof english>;
