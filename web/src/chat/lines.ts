/**
 * The lines of a conversation, in order: a value, in blocks. A change copies one block and the list of
 * blocks, and whoever shows them sees by identity which block is another one. Searches begin at the end,
 * where what is looked for nearly always is. So a message costs the same, however many were before.
 */
import type { Line } from './conversation';

/** A block takes no more lines at its end than this. One that grows to twice as many is cut in two. */
export const BLOCK = 16;

export type Block = readonly Line[];

export interface Lines {
  readonly blocks: readonly Block[];
  readonly length: number;
}

/** Which line, as a pair of indexes. */
export interface Place {
  block: number;
  index: number;
}

export const NO_LINES: Lines = { blocks: [], length: 0 };

/** Where a line stands among the seqs. */
export function position(line: Line): number {
  if (line.seq !== null) return line.seq;
  return line.refused ? line.after + 0.5 : Infinity;
}

export function allOf({ blocks }: Lines): Line[] {
  return blocks.flat();
}

export function lastOf({ blocks }: Lines): Line | undefined {
  return blocks.findLast((block) => block.length > 0)?.at(-1);
}

/** The last line that `matches`; the search ends, in vain, at the first one that is `over`. */
export function findLast(
  { blocks }: Lines,
  matches: (line: Line) => boolean,
  over: (line: Line) => boolean = () => false,
): [Line, Place] | null {
  for (let block = blocks.length - 1; block >= 0; block -= 1) {
    const lines = blocks[block] ?? [];
    for (let index = lines.length - 1; index >= 0; index -= 1) {
      const line = lines[index];
      if (!line) continue;
      if (matches(line)) return [line, { block, index }];
      if (over(line)) return null;
    }
  }
  return null;
}

/** `lines` with one more, behind all that do not come after it. */
export function inserted(lines: Lines, line: Line): Lines {
  const at = position(line);
  const before = findLast(lines, (candidate) => position(candidate) <= at);
  const place = before?.[1] ?? { block: 0, index: -1 };
  const block = lines.blocks[place.block] ?? [];
  const isLast = place.block >= lines.blocks.length - 1 && place.index === block.length - 1;
  const length = lines.length + 1;
  if (isLast && block.length >= BLOCK) return { blocks: [...lines.blocks, [line]], length };
  const grown = spliced(block, place.index + 1, 0, line);
  const blocks = exchanged(lines, place.block, grown);
  if (grown.length >= 2 * BLOCK)
    blocks.splice(place.block, 1, grown.slice(0, BLOCK), grown.slice(BLOCK));
  return { blocks, length };
}

/** `lines` with another one in this place; it moves to where it belongs now. */
export function replaced(lines: Lines, place: Place, line: Line): Lines {
  const block = lines.blocks[place.block] ?? [];
  const was = block[place.index];
  if (was && staysInPlace(lines, place, line)) {
    const blocks = exchanged(lines, place.block, spliced(block, place.index, 1, line));
    return { blocks, length: lines.length };
  }
  return inserted(removed(lines, place), line);
}

export function removed(lines: Lines, { block, index }: Place): Lines {
  const rest = spliced(lines.blocks[block] ?? [], index, 1);
  return { blocks: exchanged(lines, block, rest), length: lines.length - 1 };
}

/** `lines` with `change` made to every one of them: only for what happens once. */
export function mapped(lines: Lines, change: (line: Line) => Line): Lines {
  return { ...lines, blocks: lines.blocks.map((block) => block.map(change)) };
}

function spliced(block: Block, index: number, gone: number, ...come: Line[]): Block {
  const copy = [...block];
  copy.splice(index, gone, ...come);
  return copy;
}

function exchanged({ blocks }: Lines, index: number, block: Block): Block[] {
  const copy = [...blocks];
  copy[index] = block;
  return copy;
}

function staysInPlace(lines: Lines, { block, index }: Place, line: Line): boolean {
  const at = position(line);
  const before = neighbour(lines, block, index, -1);
  const after = neighbour(lines, block, index, 1);
  return (!before || position(before) <= at) && (!after || at < position(after));
}

function neighbour({ blocks }: Lines, block: number, index: number, way: 1 | -1): Line | undefined {
  const beside = blocks[block]?.[index + way];
  for (let at = block + way; !beside && at >= 0 && at < blocks.length; at += way) {
    const line = blocks[at]?.at(way === 1 ? 0 : -1);
    if (line) return line;
  }
  return beside;
}
