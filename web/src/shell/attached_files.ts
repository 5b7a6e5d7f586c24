/** The bytes behind the attachments: kept while the state knows of them, and not a moment longer. */
import type { Attached } from '../chat/attachments';
import { plainName } from '../chat/files';

interface Kept {
  file: Blob;
  about: Attached;
  upload: AbortController | null;
}

export class AttachedFiles {
  readonly #kept = new Map<string, Kept>();

  /** Keep a file and say what is known of it. */
  add(id: string, file: File): Attached {
    const preview = file.type.startsWith('image/') ? URL.createObjectURL(file) : null;
    return this.#keep(file, {
      id,
      kind: 'file',
      name: plainName(file.name) || 'file',
      mimeType: file.type,
      size: file.size,
      preview,
      duration: null,
      waveform: [],
    });
  }

  addVoice(id: string, sound: Blob, duration: number, waveform: readonly number[]): Attached {
    // Parameters (`;codecs=opus`) are the recorder's affair; a type without them is known everywhere.
    const [mimeType = ''] = sound.type.split(';');
    const [, kind = 'webm'] = mimeType.split('/');
    const name = `voice-note.${kind === 'mp4' ? 'm4a' : kind}`;
    const { size } = sound;
    const preview = null;
    return this.#keep(sound, {
      id,
      kind: 'voice',
      name,
      mimeType,
      size,
      preview,
      duration,
      waveform,
    });
  }

  /** The file to upload, and what breaks the upload off; undefined when it has been discarded. */
  take(id: string): (Omit<Kept, 'upload'> & { signal: AbortSignal }) | undefined {
    const kept = this.#kept.get(id);
    if (!kept) return undefined;
    kept.upload = new AbortController();
    return { ...kept, signal: kept.upload.signal };
  }

  discard(id: string): void {
    const kept = this.#kept.get(id);
    if (!kept) return;
    this.#kept.delete(id);
    kept.upload?.abort();
    if (kept.about.preview !== null) URL.revokeObjectURL(kept.about.preview);
  }

  #keep(file: Blob, about: Attached): Attached {
    this.#kept.set(about.id, { file, about, upload: null });
    return about;
  }
}
