import { describe, expect, it } from 'vitest';
import {
  emitted,
  established,
  event,
  MATCHED,
  message,
  PARTNER,
  ROOM,
  run,
  talking,
  write,
} from './samples';
import { initial, save, type Input } from './state';

const BLOCK: Input = { type: 'block' };
const START: Input = { type: 'start', username: 'CalmOtter1000' };
const DOWN: Input = { type: 'down', retrying: true };
const CONFIRMED = event('chat:clear:confirmed', { message: '' });
const MAY_RETURN = event('room:user_left', {
  userId: PARTNER.id,
  username: '',
  message: '',
  undo: 5,
});

const before = run(talking(), event('chat:message', message(1)), write('a')).state;
const blocked = run(before, BLOCK);

describe('who blocks the partner', () => {
  it('is out at once, without a way back, and hears what it means', () => {
    expect(emitted(blocked.effects)).toEqual([['chat:block', {}]]);
    expect(blocked.state).toMatchObject({
      view: 'start',
      conversation: null,
      undo: null,
      blocked: PARTNER.username,
    });
    expect(run(blocked.state, CONFIRMED).state).toMatchObject({ leaving: null, undo: null });
    expect(emitted(run(blocked.state, CONFIRMED, { type: 'undo' }).effects)).toEqual([]);
  });

  it('leaves nothing of it behind in the browser', () => {
    expect(JSON.stringify(save(run(blocked.state, CONFIRMED).state))).not.toContain(
      PARTNER.username,
    );
  });

  it('hears it until the next search', () => {
    expect(run(blocked.state, START).state.blocked).toBeNull();
    expect(run(blocked.state, START, MATCHED).state.blocked).toBeNull();
  });

  it('can also do it while the partner may come back, but not later', () => {
    const waiting = run(before, MAY_RETURN).state;
    expect(emitted(run(waiting, BLOCK).effects)).toEqual([['chat:block', {}]]);
    const over = run(waiting, { type: 'timer', key: 'return' }).state;
    expect(run(over, BLOCK)).toEqual({ state: over, effects: [] });
  });

  it('cannot while the server does not hear of it', () => {
    const down = run(before, DOWN).state;
    expect(run(down, BLOCK)).toEqual({ state: down, effects: [] });
    expect(emitted(run(initial(), BLOCK).effects)).toEqual([]);
  });

  it('says it again when the connection was lost with it, also after a reload', () => {
    const there = established(1);
    expect(emitted(run(blocked.state, DOWN, there).effects)).toEqual([['chat:block', {}]]);
    const boot: Input = { type: 'boot', saved: save(blocked.state), online: true };
    const { state, effects } = run(initial(), boot, there);
    expect(emitted(effects)).toEqual([['chat:block', {}]]);
    expect(state.view).toBe('start');
  });

  it('says it again when it was too fast', () => {
    const fast = event('chat:error', { message: '', code: 'rate_limited', retryAfter: 1.5 });
    const { state, effects } = run(blocked.state, fast);
    expect(effects).toEqual([{ do: 'timer', key: 'block', ms: 1500 }]);
    const again: Input = { type: 'timer', key: 'block' };
    expect(emitted(run(state, again).effects)).toEqual([['chat:block', {}]]);
    expect(emitted(run(state, CONFIRMED, again).effects)).toEqual([]);
  });

  it('is not taken for somebody who only leaves', () => {
    const left = run(before, { type: 'leave' });
    expect(emitted(left.effects)).toEqual([['chat:clear', {}]]);
    expect(left.state).toMatchObject({ blocked: null });
    expect(left.state.leaving).toEqual({ roomId: ROOM.roomId, epoch: ROOM.epoch });
  });
});
