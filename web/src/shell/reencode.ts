/** Pictures that the server does not take, but this browser can show: drawn anew before they are sent. */

const KINDS = /^image\/(avif|heic|heif|heic-sequence|heif-sequence)$/;
const NAMES = /\.(avif|heic|heif)$/i;
/** As cameras do it: nobody sees the difference, and the file stays small. */
const QUALITY = 0.9;
/** Browsers draw no larger ones; what is larger goes as it is, and the server says what it thinks of it. */
const MOST_PIXELS = 64_000_000;

/** Whether the server would refuse a picture that another format could save. */
export function needsReencoding(
  { name, mimeType }: { name: string; mimeType: string },
  taken: readonly string[],
): boolean {
  if (taken.includes(mimeType)) return false;
  return KINDS.test(mimeType) || (mimeType === '' && NAMES.test(name));
}

export function jpegName(name: string): string {
  return `${name.replace(NAMES, '')}.jpg`;
}

/** The picture as a JPEG; null when this browser cannot show it. */
export async function reencoded(file: Blob): Promise<Blob | null> {
  try {
    // As it is shown: turned as it says, and without anything else that it says.
    const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
    const { width, height } = picture;
    if (width * height > MOST_PIXELS) return null;
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    if (!context) return null;
    // JPEG has no transparency: what shines through is white, not black.
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.drawImage(picture, 0, 0);
    picture.close();
    return await new Promise((resolve) => {
      canvas.toBlob(resolve, 'image/jpeg', QUALITY);
    });
  } catch {
    return null;
  }
}
