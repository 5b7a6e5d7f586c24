import { describe, expect, it } from 'vitest';
import * as talk from './exchange';
import { unsent, type Conversation } from './conversation';
import { allOf, BLOCK, lastOf } from './lines';
import { conversation, ME, message } from './samples';

const AT = '2026-01-02T03:04:05.000Z';

function heard(count: number, from = 1): Conversation {
  let state = conversation();
  for (let seq = from; seq < from + count; seq += 1) state = talk.received(state, message(seq), ME);
  return state;
}

describe('lines', () => {
  it('are kept in blocks, of which a message exchanges one', () => {
    const before = heard(3 * BLOCK + 1);
    const after = talk.received(before, message(3 * BLOCK + 2), ME);
    expect(after.lines.length).toBe(3 * BLOCK + 2);
    expect(after.lines.blocks.map((block) => block.length)).toEqual([BLOCK, BLOCK, BLOCK, 2]);
    expect(after.lines.blocks.map((block, index) => block === before.lines.blocks[index])).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it('stay in order and in small blocks, whatever waits behind them', () => {
    let state = conversation();
    for (let index = 0; index < 10; index += 1)
      state = talk.wrote(state, { clientId: `mine${index}`, type: 'text', content: 'x', at: AT });
    for (let seq = 1; seq <= 500; seq += 1) state = talk.received(state, message(seq), ME);
    const keys = allOf(state.lines).map(({ key }) => key);
    expect(keys.slice(0, 2)).toEqual(['msg_1', 'msg_2']);
    expect(keys.slice(499, 502)).toEqual(['msg_500', 'mine0', 'mine1']);
    expect(Math.max(...state.lines.blocks.map((block) => block.length))).toBeLessThan(2 * BLOCK);
    expect(unsent(state).map(({ key }) => key)).toEqual(keys.slice(500));
    expect(lastOf(state.lines)?.key).toBe('mine9');
  });

  it('take in their place what comes late', () => {
    const state = talk.received(talk.received(heard(60, 2), message(1), ME), message(1), ME);
    expect(allOf(state.lines).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 61 }, (_, index) => index + 1),
    );
    expect(state.heard).toBe(61);
  });

  it('cost the same after ten thousand as after a hundred', () => {
    function looks(count: number): number {
      // Every line that is looked at tells: its `seq` is read.
      const state = heard(count);
      let reads = 0;
      const blocks = state.lines.blocks.map((block) =>
        block.map((line) =>
          Object.defineProperty({ ...line }, 'seq', {
            enumerable: true,
            get: () => {
              reads += 1;
              return line.seq;
            },
          }),
        ),
      );
      const watched = { ...state, lines: { ...state.lines, blocks } };
      let next = talk.received(watched, message(count + 1), ME);
      next = talk.wrote(next, { clientId: 'mine', type: 'text', content: 'x', at: AT });
      next = talk.accepted(next, 'mine', { id: 'msg_mine', seq: count + 2, at: AT });
      next = talk.delivered(next, 'msg_mine');
      expect(unsent(next)).toEqual([]);
      return reads;
    }
    expect(looks(10_000)).toBe(looks(100));
  });
});
