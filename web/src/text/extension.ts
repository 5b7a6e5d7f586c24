/** The last part of a name, for a card: `PDF`; empty when there is none that says something. */
export function extensionOf(name: string): string {
  const [, extension = ''] = /[^.]\.([a-z0-9]{1,5})$/i.exec(name) ?? [];
  return extension.toUpperCase();
}
