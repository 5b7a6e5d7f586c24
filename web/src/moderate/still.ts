/** Pixels of the longer side: enough to judge a picture by, and no more than any canvas can hold. */
const MOST = 2048;

/** Draw a picture; of one that moves, where it begins. Rejects if it is none. */
export async function drawStill(file: Blob, canvas: HTMLCanvasElement): Promise<void> {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, MOST / Math.max(picture.width, picture.height));
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext('2d')?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
}
