import { describe, expect, it } from 'vitest';
import { IDLE, record, type RecorderEffect, type RecorderInput, type Recording } from './recorder';

const MOST_S = 120;

function run(
  from: Recording,
  ...inputs: RecorderInput[]
): { state: Recording; effects: RecorderEffect[] } {
  let state = from;
  const effects: RecorderEffect[] = [];
  for (const input of inputs) {
    const [next, effect] = record(state, input, MOST_S);
    state = next;
    if (effect) effects.push(effect);
  }
  return { state, effects };
}

const PRESS: RecorderInput = { type: 'press' };
const LOCK: RecorderInput = { type: 'lock' };
const OPENED: RecorderInput = { type: 'opened', now: 1000 };
const RECORDED: RecorderInput = { type: 'recorded' };
const CANCEL: RecorderInput = { type: 'cancel' };
const STOP: RecorderInput = { type: 'stop' };
const SEND: RecorderInput = { type: 'send' };

function release(now: number): RecorderInput {
  return { type: 'release', now };
}

describe('held down', () => {
  it('records until it is let go, and sends', () => {
    const { state, effects } = run(IDLE, PRESS, OPENED, release(4000), RECORDED);
    expect(effects).toEqual(['open', 'finish', 'send']);
    expect(state).toEqual(IDLE);
  });

  it('and slid away records nothing, and letting go then does nothing', () => {
    const { state, effects } = run(IDLE, PRESS, OPENED, CANCEL, release(4000));
    expect(effects).toEqual(['open', 'discard']);
    expect(state).toEqual(IDLE);
  });

  it('for a moment only was a tap: it locks', () => {
    expect(run(IDLE, PRESS, OPENED, release(1200)).state).toMatchObject({
      at: 'recording',
      mode: 'locked',
    });
  });

  it('while the browser asks for leave locks, for the answer needs the finger', () => {
    expect(run(IDLE, PRESS, release(9000), OPENED).state).toMatchObject({
      at: 'recording',
      mode: 'locked',
    });
  });
});

describe('locked', () => {
  it('goes on until it is stopped, is heard, and then sent', () => {
    const heard = run(IDLE, LOCK, OPENED, release(9000), STOP, RECORDED);
    expect(heard.effects).toEqual(['open', 'finish']);
    expect(heard.state.at).toBe('preview');
    expect(run(heard.state, SEND)).toEqual({ state: IDLE, effects: ['send'] });
    expect(run(heard.state, CANCEL)).toEqual({ state: IDLE, effects: ['discard'] });
  });

  it('can be sent without a stop', () => {
    expect(run(IDLE, LOCK, OPENED, SEND, RECORDED).effects).toEqual(['open', 'finish', 'send']);
  });

  it('is not begun anew by another press', () => {
    expect(run(IDLE, LOCK, OPENED, PRESS, LOCK).effects).toEqual(['open']);
  });
});

describe('the most that the server takes', () => {
  it.each([PRESS, LOCK])('is the end, to be heard before it is sent: %j', (begin) => {
    const almost = run(IDLE, begin, OPENED, { type: 'tick', now: 120_900 });
    expect(almost.state.at).toBe('recording');
    const over = run(almost.state, { type: 'tick', now: 121_000 }, release(121_500), RECORDED);
    expect(over).toEqual({ state: { at: 'preview' }, effects: ['finish'] });
  });
});

describe('trouble', () => {
  it('is told, can be dismissed, and does not stand in the way', () => {
    const refused = run(IDLE, LOCK, { type: 'failed', code: 'mic_refused' });
    expect(refused.state).toEqual({ at: 'idle', trouble: 'mic_refused' });
    expect(refused.effects).toEqual(['open', 'discard']);
    expect(run(refused.state, { type: 'dismiss' }).state).toEqual(IDLE);
    expect(run(refused.state, PRESS).state.at).toBe('opening');
  });

  it('that comes when all is over is old news', () => {
    expect(run(IDLE, { type: 'failed', code: 'mic_failed' }, RECORDED, CANCEL)).toEqual({
      state: IDLE,
      effects: [],
    });
  });

  it.each([[[LOCK]], [[LOCK, OPENED]], [[LOCK, OPENED, STOP]], [[LOCK, OPENED, STOP, RECORDED]]])(
    'or a change of mind lets go of everything: %j',
    (inputs) => {
      const { state, effects } = run(IDLE, ...inputs, CANCEL);
      expect(state).toEqual(IDLE);
      expect(effects.at(-1)).toBe('discard');
    },
  );
});
