/** The HTTP half of the contract, as far as this client needs it. */
import type { Failure, GuestCreated, IceServers, UsernameData } from '../wire/types';

const TIMEOUT_MS = 10_000;

/** A request that did not succeed. `code` is the server's, or `unreachable`. */
export class ApiError extends Error {
  readonly code: string;
  readonly retryAfter: number | null;

  constructor(code: string, message: string, retryAfter: number | null = null) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

async function request<T>(method: string, path: string, init: RequestInit = {}): Promise<T> {
  let body: { success: true; data: T } | Failure;
  try {
    const response = await fetch(`/api/${path}`, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...init,
    });
    body = (await response.json()) as typeof body;
  } catch {
    throw new ApiError('unreachable', 'The server could not be reached.');
  }
  if ('data' in body) return body.data;
  const message = body.errors?.[0]?.message ?? body.message;
  throw new ApiError(body.code, message, body.retryAfter ?? null);
}

export function createGuest(username: string | null): Promise<GuestCreated> {
  return request('POST', 'guest', {
    headers: { 'Content-Type': 'application/json' },
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
