/**
 * One upload: `PUT /api/files/{roomId}`, or where the network passes only GET and POST, as a form by POST.
 * XMLHttpRequest, for `fetch` tells no progress.
 */
import type { Attached } from '../chat/attachments';
import { BASE } from '../wire/base';
import { ApiError, dataOf } from './api';
import { jpegName, needsReencoding, reencoded } from './reencode';

/** As long as this nothing moved: the connection is gone, though nobody said so. */
const STALLED_MS = 45_000;

export interface UploadRequest {
  roomId: string;
  token: string;
  file: Blob;
  about: Pick<Attached, 'kind' | 'name' | 'mimeType' | 'duration'>;
  /** What the server takes as pictures, if it has told. */
  pictureTypes: readonly string[] | null;
  /** From 0 to 1. */
  onprogress: (share: number) => void;
  signal: AbortSignal;
}

/** What goes out: a request, without who asks. */
interface Way {
  method: 'PUT' | 'POST';
  path: string;
  headers: Record<string, string>;
  body: XMLHttpRequestBodyInit;
}

function put({ roomId, file, about }: UploadRequest): Way {
  return {
    method: 'PUT',
    path: encodeURIComponent(roomId),
    headers: {
      'Content-Type': about.mimeType || 'application/octet-stream',
      'X-File-Name': encodeURIComponent(about.name),
      ...(about.kind === 'voice' && { 'X-Duration': (about.duration ?? 0).toFixed(2) }),
    },
    body: file,
  };
}

function form({ roomId, file, about }: UploadRequest): Way {
  const body = new FormData();
  body.append('roomId', roomId);
  if (about.kind === 'voice') body.append('duration', (about.duration ?? 0).toFixed(2));
  body.append('file', new File([file], about.name, { type: about.mimeType }));
  const path = about.kind === 'voice' ? 'voice' : 'upload';
  return { method: 'POST', path, headers: {}, body };
}

/** A proxy has let no PUT through, but a POST: the next file goes that way at once. */
let onlyForms = false;

/** What the server says of the file; raises `ApiError`. When broken off by the signal it never ends. */
export async function upload(request: UploadRequest): Promise<unknown> {
  const wanted = await prepared(request);
  if (onlyForms) return send(wanted, form(wanted));
  try {
    return await send(wanted, put(wanted));
  } catch (error) {
    if (!(error instanceof Unanswered) || error.stalled || !navigator.onLine) throw error;
    if (!(await isReadable(wanted.file))) throw new ApiError('file_unreadable');
    if (wanted.signal.aborted) throw error;
  }
  const file = await send(wanted, form(wanted));
  onlyForms = true;
  return file;
}

/** With the file as the server takes it, as far as this browser can make it so. */
async function prepared(wanted: UploadRequest): Promise<UploadRequest> {
  const { file, about, pictureTypes } = wanted;
  if (about.kind === 'voice' || !pictureTypes || !needsReencoding(about, pictureTypes))
    return wanted;
  const drawn = await reencoded(file);
  if (!drawn) return wanted;
  return {
    ...wanted,
    file: drawn,
    about: { ...about, name: jpegName(about.name), mimeType: drawn.type },
  };
}

/** The server has not answered, but perhaps somebody on the way. */
class Unanswered extends ApiError {
  readonly stalled: boolean;

  constructor(trouble: 'unreachable' | 'unexpected', stalled = false) {
    super(trouble);
    this.stalled = stalled;
  }
}

/** It was there when it was chosen; meanwhile it may have been moved, changed or deleted. */
async function isReadable(file: Blob): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function send(wanted: UploadRequest, { method, path, headers, body }: Way): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const unreachable = (stalled: boolean): void => {
      clearTimeout(timer);
      reject(new Unanswered('unreachable', stalled));
    };
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        unreachable(true);
        request.abort();
      }, STALLED_MS);
    };
    request.upload.onprogress = ({ loaded, total }) => {
      watch();
      if (total > 0) wanted.onprogress(loaded / total);
    };
    request.onerror = () => {
      unreachable(false);
    };
    request.onload = () => {
      clearTimeout(timer);
      try {
        resolve(dataOf(request.responseText));
      } catch (error) {
        reject(
          error instanceof ApiError
            ? explained(error, request.status)
            : new Unanswered('unexpected'),
        );
      }
    };
    request.onabort = () => {
      clearTimeout(timer);
    };
    wanted.signal.addEventListener('abort', () => {
      request.abort();
    });
    request.open(method, `${BASE}api/files/${path}`);
    request.setRequestHeader('Authorization', `Bearer ${wanted.token}`);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    watch();
    request.send(body);
  });
}

/** Proxies have limits of their own, and say so by the status alone. */
function explained(error: ApiError, status: number): ApiError {
  if (error.trouble !== 'unexpected') return error;
  return status === 413 ? new ApiError('too_large') : new Unanswered('unexpected');
}
