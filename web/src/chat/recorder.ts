/**
 * Recording a voice note, by holding the button down or by a tap that locks: a state machine like the
 * client's own. The shell does the effects and says what came of them.
 *
 *     idle ──press, lock──▶ opening ──▶ recording ──▶ stopping ──▶ preview ──▶ idle
 *                                           └─────────────┴── sent ──▶ idle         cancel: idle
 */

/** Whoever lets go sooner has tapped: nobody says anything in so short a time. */
const TAP_MS = 400;

export type MicrophoneTrouble =
  | 'mic_refused'
  | 'mic_absent'
  | 'mic_in_use'
  | 'mic_insecure'
  | 'mic_unsupported'
  | 'mic_failed'
  | 'part_missing';

/** `held` as long as the button is held down; `locked` until it is stopped. */
export type Mode = 'held' | 'locked';

export type Recording =
  | { at: 'idle'; trouble: MicrophoneTrouble | null }
  | { at: 'opening'; mode: Mode }
  | { at: 'recording'; mode: Mode; /** Clock, ms. */ since: number }
  | { at: 'stopping'; then: 'send' | 'preview' }
  | { at: 'preview' };

export type RecorderInput =
  | { type: 'press' | 'lock' | 'stop' | 'send' | 'cancel' | 'dismiss' }
  | { type: 'release' | 'opened' | 'tick'; /** Clock, ms. */ now: number }
  | { type: 'failed'; code: MicrophoneTrouble }
  /** The sound is complete, and can be played and sent. */
  | { type: 'recorded' };

/**
 * `open`: ask for the microphone, record, then say `opened`. `finish`: stop, let the microphone go, then
 * say `recorded`. `discard`: let go of the microphone and of the sound. `send`: give the sound away.
 */
export type RecorderEffect = 'open' | 'finish' | 'discard' | 'send';

export type RecorderStep = [Recording, RecorderEffect | null];

export const IDLE: Recording = { at: 'idle', trouble: null };

/** `most`: the seconds after which the server takes no voice note. */
export function record(state: Recording, input: RecorderInput, most: number): RecorderStep {
  if (state.at !== 'idle') {
    if (input.type === 'cancel') return [IDLE, 'discard'];
    if (input.type === 'failed') return [{ at: 'idle', trouble: input.code }, 'discard'];
  }
  switch (state.at) {
    case 'idle':
      return idle(state, input);
    case 'opening':
      return opening(state, input);
    case 'recording':
      return recording(state, input, most);
    case 'stopping':
      if (input.type !== 'recorded') return [state, null];
      return state.then === 'send' ? [IDLE, 'send'] : [{ at: 'preview' }, null];
    case 'preview':
      return input.type === 'send' ? [IDLE, 'send'] : [state, null];
  }
}

function idle(state: Recording, { type }: RecorderInput): RecorderStep {
  if (type === 'press') return [{ at: 'opening', mode: 'held' }, 'open'];
  if (type === 'lock') return [{ at: 'opening', mode: 'locked' }, 'open'];
  return [type === 'dismiss' ? IDLE : state, null];
}

function opening(state: Recording & { at: 'opening' }, input: RecorderInput): RecorderStep {
  switch (input.type) {
    case 'opened':
      return [{ at: 'recording', mode: state.mode, since: input.now }, null];
    // The browser asks for leave, and whoever answers lets go of the button.
    case 'release':
    case 'lock':
      return [{ at: 'opening', mode: 'locked' }, null];
    default:
      return [state, null];
  }
}

function recording(
  state: Recording & { at: 'recording' },
  input: RecorderInput,
  most: number,
): RecorderStep {
  const finish = (then: 'send' | 'preview'): RecorderStep => [{ at: 'stopping', then }, 'finish'];
  switch (input.type) {
    case 'release':
      if (state.mode === 'locked') return [state, null];
      if (input.now - state.since >= TAP_MS) return finish('send');
      return [{ ...state, mode: 'locked' }, null];
    case 'lock':
      return [{ ...state, mode: 'locked' }, null];
    case 'send':
      return finish('send');
    case 'stop':
      return finish('preview');
    case 'tick':
      return input.now - state.since >= most * 1000 ? finish('preview') : [state, null];
    default:
      return [state, null];
  }
}
