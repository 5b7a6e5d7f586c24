/** One upload: `PUT /api/files/{roomId}`. XMLHttpRequest, for `fetch` tells no progress. */
import type { Attached } from '../chat/attachments';
import { ApiError, dataOf } from './api';

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
      reject(new ApiError('unreachable'));
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
      try {
        resolve(dataOf(request.responseText));
      } catch (error) {
        reject(
          error instanceof ApiError ? explained(error, request.status) : new ApiError('unexpected'),
        );
      }
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

/** Proxies have limits of their own, and say so by the status alone. */
function explained(error: ApiError, status: number): ApiError {
  return error.trouble === 'unexpected' && status === 413 ? new ApiError('too_large') : error;
}
