/** Long enough for a browser that asks where to. */
const KEPT = 60_000;

/** Let the browser save a file that was loaded: a link to it would fail without a word. */
export function save(file: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, KEPT);
}
