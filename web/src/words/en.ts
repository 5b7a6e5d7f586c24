/** Every word of the page, in English. The other languages have the same, or TypeScript complains. */
import type {
  Bring,
  CallKind,
  CallNotice,
  CallRecord,
  DeviceTrouble,
  MediaNotice,
  Outcome,
} from '../chat/call';
import type { ConsentStep } from '../chat/consent';
import type { Ending, MessageState } from '../chat/conversation';
import type { FileKind } from '../chat/files';
import type { News } from '../chat/news';
import type { InterestProblem, Mode } from '../chat/preferences';
import type { PartnerState } from '../chat/presence';
import type { MicrophoneTrouble } from '../chat/recorder';
import type { Search } from '../chat/state';
import type { ClientTrouble, Trouble } from '../chat/trouble';
import type { NameProblem } from '../text/name';
import type { Code, Limits, MatchingLimits } from '../wire/types';
import type { Formats } from './formats';

/** A sentence; with a number in it, once it is known what the server allows. */
export type Sentence = string | ((limits: Limits) => string);

/** What the other languages have to have too: `words`, and nothing is missing. */
function typed<T>(words: T): T {
  return words;
}

const english = (f: Formats) => {
  const failed = 'Something went wrong on the server. Please try again in a moment.';
  const brokenOff = 'The connection broke off.';
  const misunderstood = 'This browser and the server do not understand each other.';
  const sessionEnded = 'Your session has ended.';
  const insecure =
    'Browsers allow calls only on secure pages, and this one was opened without https.';
  const unsupported = 'This browser cannot make calls.';
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
    /** Questions to begin a conversation with: in every language the same ones, in the same order. */
    topics: typed<readonly string[]>([
      'What made you smile today?',
      'What are you looking forward to this week?',
      'Which song do you never get tired of?',
      'What do you see when you look out of your window?',
      'Which smell takes you back to your childhood?',
      'What could you talk about for an hour?',
      'What is the best meal you have ever had?',
      'Which place would you like to see once in your life?',
      'What did you learn only recently?',
      'Which book or film has stayed with you?',
      'What does a perfect Sunday look like for you?',
      'Which small thing makes your day better?',
      'What did you want to be when you were a child?',
      'Do you like mornings or nights better, and why?',
      'What would you do with a whole free day tomorrow?',
      'Which word in your language do you like most?',
      'What is something that you can do with your hands?',
      'Who has taught you something important?',
      'What do you like about the place where you live?',
      'Which animal would you like to understand?',
      'What was the last thing that surprised you?',
      'What do you do when you need some rest?',
      'Which sound do you like best?',
      'What would you cook for a guest?',
      'Which skill would you like to learn overnight?',
      'What is the kindest thing that a stranger has done for you?',
      'Which season feels most like home to you?',
      'What is on your mind these days?',
      'Which question would you like to be asked more often?',
      'What is a rule that you made for yourself?',
      'What did you believe once and see differently now?',
      'Which thing have you owned for the longest time?',
      'What would you tell the person that you were ten years ago?',
      'Where do you go when you want to think?',
      'What are you a little proud of?',
      'Which invention could you not live without?',
    ]),
    /** Between a link and where it leads. */
    link: {
      title: 'You are leaving Passerby',
      leads: 'This link leads to',
      hint: 'Nobody here knows what is there. The conversation goes on in this tab.',
      open: 'Open in a new tab',
      stay: 'Stay here',
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
      allows: (name: string): string => `What ${name} may send`,
      step: typed<Record<ConsentStep, string>>({
        links: 'Links',
        pictures: 'Pictures',
        files: 'Files',
        voice: 'Voice notes',
        audio: 'Calls',
        video: 'Calls with video',
      }),
      allow: 'Allow',
      notNow: 'Not now',
      callWaits: (name: string): string => `${name} is asked whether you may call.`,
      waits: (name: string): string => `${name} is asked first.`,
      show: 'Show picture',
      reveal: (name: string): string => `Show and hear ${name}`,
    },
    file: {
      nameless: 'File without a name',
      kind: typed<Record<FileKind, string>>({
        image: 'Picture',
        video: 'Video',
        audio: 'Sound',
        document: 'File',
      }),
      facts: (what: string, size: number): string => `${what} · ${f.size(size)}`,
      picture: (name: string): string => `Picture: ${name}`,
      open: (name: string): string => `Open picture ${name}`,
      close: 'Close',
      video: (name: string): string => `Video: ${name}`,
      download: 'Download',
      downloadOf: (name: string): string => `Download ${name}`,
      gone: 'Gone with the conversation',
      unavailable: 'This could not be loaded.',
      unplayable: 'This browser cannot show or play it.',
      unplayableSave: 'This browser cannot show or play it, but you can save it.',
      expired: 'This has expired: files stay for a limited time.',
      reload: 'Try again',
    },
    player: {
      voice: 'Voice note',
      play: 'Play',
      pause: 'Pause',
      position: 'Position',
      positionOf: (at: number, length: number): string => `${f.clock(at)} of ${f.clock(length)}`,
      rate: (rate: number): string => `${f.number(rate)}×`,
      speed: (rate: number): string => `Speed: ${f.number(rate)} times`,
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
      time: (at: number, most: number): string => `${f.clock(at)} / ${f.clock(most)}`,
      cancel: 'Cancel recording',
      discard: 'Discard voice note',
      stop: 'Stop and listen',
      send: 'Send voice note',
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
      reloaded: (name: string): string => `${name} reloaded the page and can join again.`,
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
      trouble: typed<Record<DeviceTrouble, string>>({
        mic_refused:
          'The microphone is blocked for this page. Allow it in your browser’s settings for this site, or join and listen only.',
        mic_absent: 'No microphone was found. Connect one, or join and listen only.',
        mic_in_use:
          'The microphone is in use by another program. Close that, or join and listen only.',
        mic_failed: 'The microphone does not work right now. You can still join and listen.',
        camera_refused:
          'The camera is blocked for this page. Allow it in your browser’s settings for this site, or join with sound only.',
        camera_absent: 'No camera was found. Connect one, or join with sound only.',
        camera_in_use:
          'The camera is in use by another program. Close that, or join with sound only.',
        camera_failed: 'The camera does not work right now. You can still join with sound only.',
        devices_insecure: insecure,
        devices_unsupported: unsupported,
      }),
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
      device: (number: number): string => `Device ${f.number(number)}`,
      alerts: 'Tell me of calls while I look elsewhere',
      self: 'Your picture',
      selfScreen: 'Your screen',
      selfKeys: 'Your picture. Arrow keys move it to another corner.',
      other: (name: string): string => `Picture of ${name}`,
      hear: 'Tap to hear the call',
      duration: 'Duration',
      notice: typed<Record<CallNotice, string>>({
        unreachable: 'The server cannot be reached right now, so there was no call.',
        refused: 'The call could not be made. Please try again in a moment.',
        lost: 'The call broke off, and no way back was found. You can call again.',
        failed: 'No connection between the two of you was found. You can go on in writing.',
        declined: 'Your call was declined. Wait a little before you ring again.',
      }),
      media: typed<Record<MediaNotice, string>>({
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
        devices_insecure: insecure,
        devices_unsupported: unsupported,
      }),
      dismiss: 'Close',
      rejoin: (name: string): string => `You were in a call with ${name}. Join it again?`,
      rejoinAudio: 'Join with sound',
      rejoinVideo: 'Join with camera',
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
    codes: typed<Record<Code, Sentence>>({
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
      undo_impossible:
        'There is no way back any more: the other has moved on, or the time was over.',
      rate_limited: 'That was a little fast. Please wait a moment.',
      token_required: sessionEnded,
      token_expired: sessionEnded,
      token_invalid: sessionEnded,
      session_not_found: sessionEnded,
      session_ended: sessionEnded,
      replaced: 'Passerby is open for you in another tab or window, and goes on there.',
      file_missing: 'The upload did not arrive whole.',
      file_empty: 'This file is empty.',
      file_too_large: ({ fileSize }) =>
        `This file is too large. At most ${f.size(fileSize)} is allowed.`,
      file_not_found: 'The server has this file no longer.',
      upload_malformed: 'The upload did not arrive whole.',
      upload_timeout: 'The upload took too long.',
      duration_invalid: ({ voiceDuration }) =>
        `This voice note is too short, or longer than ${f.duration(voiceDuration)}.`,
      not_your_room: 'You are in another conversation.',
      link_invalid: 'This link does not lead to a file of this conversation.',
      room_closed: 'This conversation is over.',
      picture_too_large: ({ picturePixels }) =>
        `This picture has too many pixels. At most ${f.roughly(picturePixels)} are allowed.`,
      room_storage_full: ({ roomFilesSize }) =>
        `This conversation cannot hold more files. At most ${f.size(roomFilesSize)} in total is allowed.`,
      guest_storage_full: ({ guestFilesSize }) =>
        `You have reached the limit for files in a conversation: ${f.size(guestFilesSize)}.`,
      unsupported_type: ({ pictureTypes }) =>
        `Files of this kind cannot be sent, because place and time cannot be removed from them. Pictures can be ${f.either(pictureTypes)}.`,
      file_damaged: 'This file is damaged and cannot be sent.',
      not_audio: 'This does not sound like a voice note.',
      storage_full: 'The server has no room for files right now. Please try again in a while.',
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
    /** What is said otherwise of a file on its way. */
    upload: typed<Partial<Record<Trouble, Sentence>>>({
      rate_limited: 'That was a little fast. It goes on in a moment.',
      unreachable: brokenOff,
      unexpected: 'It could not be sent.',
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
