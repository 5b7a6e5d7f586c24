/**
 * A call as this client knows it: a state machine beside the conversation's. The shell does the effects
 * (devices, RTCPeerConnection, signals) and says what came of them.
 *
 *     idle ─call, rejoin─▶ preparing ──▶ calling ──▶ connecting ──▶ active ◀──▶ recovering
 *       └──offered──▶ ringing ──answer──▶ preparing ──┘                 anything: idle, when it is over
 */

import type { Code } from '../wire/types';

export type CallKind = 'audio' | 'video';

/** What a guest goes into a call with: `nothing` hears and sees. */
export type Bring = 'video' | 'audio' | 'nothing';

export type DeviceTrouble =
  | `${'mic' | 'camera'}_${'refused' | 'absent' | 'in_use' | 'failed'}`
  | 'devices_insecure'
  | 'devices_unsupported';

/** Why there is no call any more; the words of a line in the conversation. */
export type Outcome =
  'talked' | 'lost' | 'declined' | 'missed' | 'unanswered' | 'cancelled' | 'failed';

export interface Facts {
  /** Null until the server has named it. */
  callId: string | null;
  kind: CallKind;
  outgoing: boolean;
  /** Gives way when both negotiate at once (perfect negotiation): as the server says. */
  polite: boolean;
  /** When sound or pictures first flowed: ms of `performance.now()`, as every `now`. Below 0: before the page was loaded. */
  since: number | null;
}

export interface CallRecord {
  kind: CallKind;
  outgoing: boolean;
  outcome: Outcome;
  seconds: number;
}

/** Said until it is dismissed, or the next call begins. */
export type CallNotice =
  | 'unreachable'
  | 'refused'
  | 'declined'
  | 'lost'
  | 'failed'
  | 'no_audio'
  | 'no_video'
  | 'new_device'
  | 'step_closed';

/** What outlives a reload of the page. */
export interface Rejoin extends Facts {
  callId: string;
}

/** Of our own devices during a call. */
export type MediaNotice =
  DeviceTrouble | 'mic_gone' | 'mic_replaced' | 'camera_gone' | 'pictures_off';

/** Attempts to find a path: how many, and since when (ms). */
export interface Trying {
  attempt: number;
  began: number;
}

type With<At extends string, More = object> = { at: At; facts: Facts } & More;

export type Call =
  | { at: 'idle'; notice: CallNotice | null; rejoin: Rejoin | null }
  | With<
      'preparing',
      {
        why: 'call' | 'answer' | 'rejoin';
        bring: Bring;
        /** The guest looks at themselves, or chooses, before it goes on. */
        look: boolean;
        /** The devices are open. */
        ready: boolean;
        trouble: DeviceTrouble | null;
      }
    >
  | With<'calling'>
  | With<'ringing'>
  | With<'connecting', Trying>
  | With<'active'>
  | With<'recovering', Trying>;

export type CallInput =
  | { type: 'call'; kind: CallKind; look: boolean }
  | { type: 'answer'; bring: Bring; look: boolean }
  | { type: 'rejoin'; bring: Bring }
  /** Of the preparation: another way to go in. */
  | { type: 'bring'; bring: Bring }
  | { type: 'opened'; now: number }
  | { type: 'trouble'; code: DeviceTrouble }
  | { type: 'join'; now: number }
  | { type: 'hangUp'; now: number }
  | { type: 'dismiss' }
  /** The ICE servers could not be had, or no offer made: there can be no call. */
  | { type: 'impossible'; notice: CallNotice; now: number }
  | { type: 'offered'; callId: string; kind: CallKind; polite: boolean; now: number }
  | { type: 'named'; callId: string; kind: CallKind; polite: boolean }
  | { type: 'answered'; callId: string; now: number }
  | { type: 'ended'; callId: string; how: 'end' | 'reject' | 'timeout'; now: number }
  | { type: 'refused'; code: Code; now: number }
  | { type: 'path'; path: 'up' | 'down'; now: number }
  /** The device is in another network. */
  | { type: 'network' }
  /** Signals can be sent again, after they could not. */
  | { type: 'signals' }
  | { type: 'tick'; now: number }
  | { type: 'found'; rejoin: Rejoin }
  /** The conversation is over. */
  | { type: 'over'; now: number };

/**
 * `open`: ask for devices, then say `opened` or `trouble`. `place`, `take`, `rejoin`: negotiate.
 * `restart`: look for another path. `close`: let go of everything.
 */
export type CallEffect =
  | { do: 'open'; bring: Bring }
  | { do: 'place' | 'take' | 'rejoin' | 'resend' | 'close' | 'connected' }
  | { do: 'restart'; how: 'any' | 'relay' | 'sound' }
  | { do: 'hangUp'; how: 'end' | 'reject'; callId: string | null }
  | { do: 'timer'; ms: number | null }
  | { do: 'record'; record: CallRecord };

export type CallStep = [Call, CallEffect[]];

export const NO_CALL: Call = { at: 'idle', notice: null, rejoin: null };

export function factsOf(call: Call): Facts | null {
  return call.at === 'idle' ? null : call.facts;
}

/** The call in which sound and pictures are to flow. */
export function isJoined(call: Call): boolean {
  return call.at === 'connecting' || call.at === 'active' || call.at === 'recovering';
}
