/** The code of the last ban, by which the answer to an appeal is found: kept in this browser. */

const KEY = 'passerby.ban';

export function banCode(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function keepBanCode(code: string | null): void {
  try {
    if (code === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, code);
  } catch {
    // Storage may be forbidden or full: the page shows the code, to be kept otherwise.
  }
}
