/** One upload: `PUT /api/files/{roomId}`. XMLHttpRequest, for `fetch` tells no progress. */
import type { Attached } from '../chat/attachments';
import type { Failure } from '../wire/types';
import { ApiError } from './api';

/** As long as this nothing moved: the connection is gone, though nobody said so. */
const STALLED_MS = 45_000;

export interface UploadRequest {
  roomId: string;
  token: string;
  file: Blob;
  about: Pick<Attached, 'kind' | 'name' | 'mimeType' | 'duration'>;
  /** From 0 to 1. */
  onprogress: (share: number) => void;
  signal: AbortSignal;
}

function headersOf({ token, about }: UploadRequest): Record<string, string> {
  return {
    Authorization: `Bearer ${token}`,
    'Content-Type': about.mimeType || 'application/octet-stream',
    'X-File-Name': encodeURIComponent(about.name),
    ...(about.kind === 'voice' && { 'X-Duration': (about.duration ?? 0).toFixed(2) }),
  };
}

/** What the server says of the file; raises `ApiError`. When broken off by the signal it never ends. */
export function upload(wanted: UploadRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let stalled: ReturnType<typeof setTimeout> | undefined;
    const unreachable = (): void => {
      clearTimeout(stalled);
      reject(new ApiError('unreachable', 'The server could not be reached.'));
    };
    const watch = (): void => {
      clearTimeout(stalled);
      stalled = setTimeout(() => {
        unreachable();
        request.abort();
      }, STALLED_MS);
    };
    request.upload.onprogress = ({ loaded, total }) => {
      watch();
      if (total > 0) wanted.onprogress(loaded / total);
    };
    request.onerror = unreachable;
    request.onload = () => {
      clearTimeout(stalled);
      const body = answerOf(request);
      if ('data' in body) resolve(body.data);
      else reject(new ApiError(body.code, body.message, body.retryAfter ?? null));
    };
    request.onabort = () => {
      clearTimeout(stalled);
    };
    wanted.signal.addEventListener('abort', () => {
      request.abort();
    });
    request.open('PUT', `/api/files/${encodeURIComponent(wanted.roomId)}`);
    for (const [name, value] of Object.entries(headersOf(wanted)))
      request.setRequestHeader(name, value);
    watch();
    request.send(wanted.file);
  });
}

function answerOf({ status, responseText }: XMLHttpRequest): { data: unknown } | Failure {
  try {
    const body: unknown = JSON.parse(responseText);
    if (typeof body === 'object' && body !== null && ('data' in body || 'code' in body))
      return body as { data: unknown } | Failure;
  } catch {
    // A proxy's page, perhaps.
  }
  // Proxies have limits of their own, and say so without our words.
  const code = status === 413 ? 'file_too_large' : 'upload_failed';
  return { success: false, message: `The upload failed (${status}).`, code };
}
