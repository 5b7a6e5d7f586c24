/** Which of the operator's pages is open: it stays so while what is under it changes, as from the start to a question. */
import type { PageName } from './newcomer';

let shown = $state.raw<PageName | null>(null);

export function shownPage(): PageName | null {
  return shown;
}

export function showPage(page: PageName | null): void {
  shown = page;
}
