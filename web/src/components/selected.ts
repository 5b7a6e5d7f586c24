/** A selection that outlives the exchange of what it is in: told by line and character, not by nodes. */

interface End {
  line: number;
  offset: number;
}

/** `parts`: the elements that hold the texts of the lines, in order. */
export type Parts = (element: Element) => readonly (Element | null)[];

function endOf(parts: readonly (Element | null)[], node: Node | null, offset: number): End | null {
  const line = node ? parts.findIndex((part) => part?.contains(node) === true) : -1;
  const part = parts[line];
  if (!node || !part) return null;
  const range = document.createRange();
  range.setStart(part, 0);
  range.setEnd(node, offset);
  return { line, offset: range.toString().length };
}

function nodeOf(part: Element | null | undefined, offset: number): [Node, number] | null {
  if (!part) return null;
  const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  let left = offset;
  while (walker.nextNode()) {
    const length = walker.currentNode.nodeValue?.length ?? 0;
    if (left <= length) return [walker.currentNode, left];
    left -= length;
  }
  return [part, part.childNodes.length];
}

/** Remember what is selected in `element`; null when nothing is. Calling what comes selects it again there. */
export function keepSelected(element: Element, parts: Parts): (() => void) | null {
  const selection = document.getSelection();
  if (!selection || selection.rangeCount === 0 || selection.isCollapsed) return null;
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  const before = parts(element);
  const anchor = endOf(before, anchorNode, anchorOffset);
  const focus = endOf(before, focusNode, focusOffset);
  if (!anchor && !focus) return null;
  return () => {
    const after = parts(element);
    const from = anchor
      ? nodeOf(after[anchor.line], anchor.offset)
      : anchorNode && ([anchorNode, anchorOffset] as const);
    const to = focus
      ? nodeOf(after[focus.line], focus.offset)
      : focusNode && ([focusNode, focusOffset] as const);
    if (from && to) selection.setBaseAndExtent(...from, ...to);
  };
}
