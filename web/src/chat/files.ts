/** Files in messages: what the server says of one, and what may be shown of it. */
import { BASE } from '../wire/base';
import type { FileInfo } from '../wire/types';
import { readPeaks } from './waveform';

/** Where the server keeps files while the conversation lasts. No other address is loaded or linked. */
const FILES_AT = `${BASE}api/temp-files/`;
const NAME_MAX = 255;

export type FileKind = FileInfo['fileTypeCategory'];

/** A file as shown: everything in it has been looked at, for some of it came from a stranger. */
export interface SharedFile {
  id: string;
  name: string;
  kind: FileKind;
  mimeType: string;
  size: number;
  /** For `src`; null when there is none to trust. */
  url: string | null;
  downloadUrl: string | null;
  /** Seconds. */
  duration: number | null;
  /** Pixels; null unless both are known. */
  pixels: { width: number; height: number } | null;
  waveform: readonly number[];
}

const KINDS: readonly unknown[] = ['image', 'video', 'audio', 'document'] satisfies FileKind[];

function positive(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

// Control characters, and those that turn the direction of writing: `exe.fdp` must not read `pdf.exe`.
const DECEIVING = /[\p{Control}\p{Surrogate}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A file's name without what could deceive; empty when nothing is left. */
export function plainName(name: string): string {
  return name.slice(0, NAME_MAX).replace(DECEIVING, '').trim();
}

/** `url` if it leads to the server's files and nowhere else. */
function trusted(url: unknown): string | null {
  if (typeof url !== 'string' || !url.startsWith(FILES_AT)) return null;
  // Dots and backslashes could climb out of the folder: the browser's own reading decides.
  return new URL(url, 'https://here.invalid').pathname.startsWith(FILES_AT) ? url : null;
}

/** The file that a message's content describes; null when it describes none. */
export function readFile(content: unknown): SharedFile | null {
  if (typeof content !== 'object' || content === null) return null;
  const given = content as Record<string, unknown>;
  const id = text(given.fileId);
  if (id === '') return null;
  const kind = given.fileTypeCategory ?? given.fileType;
  const [width, height] = [positive(given.width), positive(given.height)];
  return {
    id,
    name: plainName(text(given.filename)),
    kind: KINDS.includes(kind) ? (kind as FileKind) : 'document',
    mimeType: text(given.mimeType),
    size: positive(given.fileSize) ?? 0,
    url: trusted(given.tempUrl) ?? trusted(given.fileUrl),
    downloadUrl: trusted(given.downloadUrl),
    duration: positive(given.duration),
    pixels: width !== null && height !== null ? { width, height } : null,
    waveform: readPeaks(given.waveform),
  };
}

/** What goes to the server for a file that it has: only what it does not know yet. */
export function reference(content: unknown): { fileId: string; waveform?: number[] } {
  const { fileId, waveform } = content as { fileId: string; waveform?: number[] };
  return waveform === undefined ? { fileId } : { fileId, waveform };
}

/** The size at which a picture is shown: as large as fits into a square of `most`, never enlarged. */
export function fitted(
  { width, height }: { width: number; height: number },
  most: number,
): { width: number; height: number } {
  const scale = Math.min(1, most / Math.max(width, height));
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}
