export const NAME_MIN = 3;
export const NAME_MAX = 20;

export type NameProblem = 'short' | 'long' | 'characters';

/** What keeps `name` from being a guest's name, or null. The server has the last word. */
export function nameProblem(name: string): NameProblem | null {
  if (!/^[A-Za-z0-9_]*$/.test(name)) return 'characters';
  if (name.length < NAME_MIN) return 'short';
  if (name.length > NAME_MAX) return 'long';
  return null;
}
