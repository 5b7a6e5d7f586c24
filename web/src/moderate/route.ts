/** Which part of the console is shown, by the hash of the address. */

export type Route =
  | { name: 'queue' | 'appeals' | 'bans' | 'people' | 'audit' | 'nowhere' }
  | { name: 'case'; id: string }
  | { name: 'setup'; token: string };

const PLAIN = ['appeals', 'bans', 'people', 'audit'] as const;

export function routeOf(hash: string): Route {
  const [first = '', second = '', ...others] = hash.replace(/^#?\/?/, '').split('/');
  if (first === '') return { name: 'queue' };
  const plain = PLAIN.find((name) => name === first);
  if (plain && second === '') return { name: plain };
  const value = decoded(second);
  if (value && others.length === 0) {
    if (first === 'cases') return { name: 'case', id: value };
    if (first === 'setup') return { name: 'setup', token: value };
  }
  return { name: 'nowhere' };
}

export function caseHash(id: string): string {
  return `#/cases/${encodeURIComponent(id)}`;
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
