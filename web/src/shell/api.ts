/** The HTTP half of the contract, as far as this client needs it. */
import type { Trouble } from '../chat/trouble';
import type {
  Failure,
  GuestCreated,
  IceServers,
  MatchingStatus,
  UsernameData,
} from '../wire/types';

const TIMEOUT_MS = 10_000;

/** A request that did not succeed. `retryAfter`: seconds, when the server asks for a pause. */
export class ApiError extends Error {
  readonly trouble: Trouble;
  readonly retryAfter: number | null;

  constructor(trouble: Trouble, retryAfter: number | null = null) {
    super(trouble);
    this.name = 'ApiError';
    this.trouble = trouble;
    this.retryAfter = retryAfter;
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
  );
}

async function request<T>(method: string, path: string, init: RequestInit = {}): Promise<T> {
  let text: string;
  try {
    const response = await fetch(`/api/${path}`, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...init,
    });
    text = await response.text();
  } catch {
    throw new ApiError('unreachable');
  }
  return dataOf(text) as T;
}

/** With the token of the session before, the new one knows whom the guest has met. */
export function createGuest(username: string | null, former: string | null): Promise<GuestCreated> {
  return request('POST', 'guest', {
    headers: {
      'Content-Type': 'application/json',
      ...(former === null ? {} : { Authorization: `Bearer ${former}` }),
    },
    body: JSON.stringify(username === null ? {} : { username }),
  });
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

export function matchingStatus(): Promise<MatchingStatus> {
  return request('GET', 'matching');
}
