/** Files out of what was dropped or pasted. */

/** The files; a folder comes as a file that cannot be read, so it is left out. */
export function droppedFiles(data: DataTransfer): File[] {
  return Array.from(data.items).flatMap((item) => {
    if (item.kind !== 'file' || item.webkitGetAsEntry()?.isDirectory === true) return [];
    return item.getAsFile() ?? [];
  });
}

/** The files, unless text was meant: office programs add a picture of the words that they copy. */
export function pastedFiles(data: DataTransfer): File[] {
  const written = data.types.includes('text/html') && data.getData('text/plain').trim() !== '';
  return written ? [] : Array.from(data.files);
}
