/** The HTTP half of the contract, as far as this client needs it. */
import type { Given } from '../chat/newcomer';
import type { Trouble } from '../chat/trouble';
import type {
  BanNotice,
  Failure,
  GuestCreated,
  House,
  IceServers,
  MatchingStatus,
  UsernameData,
} from '../wire/types';
import { BASE } from '../wire/base';
import { device, keepDevice } from './storage';

const TIMEOUT_MS = 10_000;

/**
 * A request that did not succeed. `retryAfter`: seconds, when the server asks for a pause; `ban`: why it was refused;
 * `challenge`: the work that it asks for.
 */
export class ApiError extends Error {
  readonly trouble: Trouble;
  readonly retryAfter: number | null;
  readonly ban: BanNotice | null;
  readonly challenge: object | null;

  constructor(
    trouble: Trouble,
    retryAfter: number | null = null,
    ban: BanNotice | null = null,
    challenge: object | null = null,
  ) {
    super(trouble);
    this.name = 'ApiError';
    this.trouble = trouble;
    this.retryAfter = retryAfter;
    this.ban = ban;
    this.challenge = challenge;
  }
}

/** What an answer says; raises `ApiError` for a failure, and for what is not the server's own: a proxy's page. */
export function dataOf(text: string): unknown {
  let body: { data?: unknown } & Partial<Failure>;
  try {
    // Whatever has no fields has not the right ones either.
    body = Object(JSON.parse(text)) as typeof body;
  } catch {
    throw new ApiError('unexpected');
  }
  if ('data' in body) return body.data;
  throw new ApiError(
    typeof body.code === 'string' ? body.code : 'unexpected',
    body.retryAfter ?? null,
    body.ban ?? null,
    body.challenge ?? null,
  );
}

export async function request<T>(method: string, path: string, init: RequestInit = {}): Promise<T> {
  let text: string;
  try {
    const response = await fetch(`${BASE}api/${path}`, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...init,
    });
    // Of who was refused.
    keepDevice(response.headers.get('device'));
    text = await response.text();
  } catch {
    throw new ApiError('unreachable');
  }
  return dataOf(text) as T;
}

/**
 * With the token of the session before, the new one knows whom the guest has met. What this browser is known by is the
 * same for all of its sessions: so a block or a ban holds, and who is here for long need not be taken for a newcomer.
 */
export async function createGuest(
  username: string | null,
  former: string | null,
  { proof, ageProof, ...answers }: Given = {},
): Promise<GuestCreated> {
  const known = device();
  const created = await request<GuestCreated>('POST', 'guest', {
    headers: {
      'Content-Type': 'application/json',
      ...(former !== null && { Authorization: `Bearer ${former}` }),
      ...(known !== null && { Device: known }),
      ...(proof && { Proof: proof }),
      ...(ageProof && { 'Age-Proof': ageProof }),
    },
    body: JSON.stringify({ ...answers, ...(username !== null && { username }) }),
  });
  keepDevice(created.device);
  return created;
}

export async function randomUsername(): Promise<string> {
  return (await request<UsernameData>('GET', 'guest/username')).username;
}

export async function endSession(token: string): Promise<void> {
  await request('DELETE', 'guest/me', {
    headers: { Authorization: `Bearer ${token}` },
    keepalive: true,
  });
}

export function iceServers(token: string): Promise<IceServers> {
  return request('GET', 'ice-servers', { headers: { Authorization: `Bearer ${token}` } });
}

export function house(): Promise<House> {
  return request('GET', 'house');
}

let known: Promise<House | null> | null = null;

/** What the server has said of itself, since the page was opened; null if that cannot be had now. */
export function knownHouse(): Promise<House | null> {
  known ??= house().catch(() => (known = null));
  return known;
}

export function matchingStatus(): Promise<MatchingStatus> {
  return request('GET', 'matching');
}
