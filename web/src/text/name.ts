import { USERNAME_CHARACTERS, USERNAME_MAX, USERNAME_MIN } from '../wire/rules';

export type NameProblem = 'short' | 'long' | 'characters';

/** What keeps `name` from being a guest's name, or null. The server has the last word. */
export function nameProblem(name: string): NameProblem | null {
  if (name !== '' && !USERNAME_CHARACTERS.test(name)) return 'characters';
  if (name.length < USERNAME_MIN) return 'short';
  if (name.length > USERNAME_MAX) return 'long';
  return null;
}
