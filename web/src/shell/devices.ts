/** Microphone, camera and screen: asking for them, and what may come in between. */
import type { Bring, DeviceTrouble } from '../chat/call';

type Device = 'mic' | 'camera';

const REASONS: Partial<Record<string, 'refused' | 'absent' | 'in_use'>> = {
  NotAllowedError: 'refused',
  SecurityError: 'refused',
  NotFoundError: 'absent',
  OverconstrainedError: 'absent',
  NotReadableError: 'in_use',
  AbortError: 'in_use',
};

/** A device cannot be had, and why. */
export class DeviceError extends Error {
  readonly code: DeviceTrouble;

  constructor(code: DeviceTrouble) {
    super(code);
    this.name = 'DeviceError';
    this.code = code;
  }
}

/** Which camera or microphone; nothing is the browser's own choice. */
export interface Choice {
  microphone?: string | undefined;
  camera?: string | undefined;
  facing?: 'user' | 'environment' | undefined;
}

function constraints(wanted: { audio: boolean; video: boolean }, choice: Choice) {
  const { microphone, camera, facing } = choice;
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  return {
    audio: wanted.audio && {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...(microphone ? { deviceId: { exact: microphone } } : {}),
    },
    video: wanted.video && {
      ...size,
      ...(camera ? { deviceId: { exact: camera } } : { facingMode: facing ?? 'user' }),
    },
  };
}

async function ask(
  device: Device,
  wanted: { audio: boolean; video: boolean },
  choice: Choice,
): Promise<MediaStream> {
  if (!isSecureContext) throw new DeviceError('devices_insecure');
  if (!('mediaDevices' in navigator) || !('RTCPeerConnection' in window)) {
    throw new DeviceError('devices_unsupported');
  }
  try {
    return await navigator.mediaDevices.getUserMedia(constraints(wanted, choice));
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    throw new DeviceError(`${device}_${REASONS[name] ?? 'failed'}`);
  }
}

export function openMicrophone(choice: Choice): Promise<MediaStream> {
  return ask('mic', { audio: true, video: false }, choice);
}

export function openCamera(choice: Choice): Promise<MediaStream> {
  return ask('camera', { audio: false, video: true }, choice);
}

/** What the guest brings, asked for in one go; raises `DeviceError`, which names the device that is missing. */
export async function open(bring: Bring, choice: Choice): Promise<MediaStream> {
  if (bring === 'nothing') return new MediaStream();
  if (bring === 'audio') return openMicrophone(choice);
  let refusal: unknown;
  try {
    return await ask('camera', { audio: true, video: true }, choice);
  } catch (error) {
    if (!(error instanceof DeviceError) || error.code.startsWith('devices_')) throw error;
    refusal = error;
  }
  // Which of the two was it? To ask again for what was refused would be rude; the browser may know.
  if (refusal instanceof DeviceError && refusal.code === 'camera_refused') {
    throw (await isDenied('microphone')) ? new DeviceError('mic_refused') : refusal;
  }
  release(await openMicrophone(choice));
  throw refusal;
}

async function isDenied(name: string): Promise<boolean> {
  try {
    const { state } = await navigator.permissions.query({ name: name as PermissionName });
    return state === 'denied';
  } catch {
    return false;
  }
}

export function canShareScreen(): boolean {
  // Older browsers and phones have it not, whatever the types say.
  return 'mediaDevices' in navigator && 'getDisplayMedia' in navigator.mediaDevices;
}

/** A picture of the screen, or null when the guest has thought better of it. */
export async function openScreen(): Promise<MediaStreamTrack | null> {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: false });
    return stream.getVideoTracks()[0] ?? null;
  } catch {
    return null;
  }
}

export interface Devices {
  microphones: readonly MediaDeviceInfo[];
  cameras: readonly MediaDeviceInfo[];
  speakers: readonly MediaDeviceInfo[];
}

export const NO_DEVICES: Devices = { microphones: [], cameras: [], speakers: [] };

export async function listDevices(): Promise<Devices> {
  try {
    const all = await navigator.mediaDevices.enumerateDevices();
    const kind = (wanted: MediaDeviceKind): MediaDeviceInfo[] =>
      all.filter((device) => device.kind === wanted && device.deviceId !== '');
    return {
      microphones: kind('audioinput'),
      cameras: kind('videoinput'),
      speakers: 'setSinkId' in HTMLMediaElement.prototype ? kind('audiooutput') : [],
    };
  } catch {
    return NO_DEVICES;
  }
}

/** Let go: the camera's light goes off. */
export function release(stream: MediaStream | MediaStreamTrack | null): void {
  if (!stream) return;
  const tracks = stream instanceof MediaStream ? stream.getTracks() : [stream];
  for (const track of tracks) {
    track.onended = null;
    track.stop();
  }
}
