import { describe, expect, it } from 'vitest';
import { NO_CALL, type Call, type CallEffect, type CallInput, type CallRecord } from './call';
import { GIVE_UP_MS, step } from './call_step';

function run(from: Call, ...inputs: CallInput[]): { call: Call; effects: CallEffect[] } {
  let call = from;
  let effects: CallEffect[] = [];
  for (const input of inputs) [call, effects] = step(call, input);
  return { call, effects };
}

function record(effects: CallEffect[]): CallRecord | undefined {
  return effects.flatMap((effect) => (effect.do === 'record' ? [effect.record] : []))[0];
}

function restarts(effects: CallEffect[]): string[] {
  return effects.flatMap((effect) => (effect.do === 'restart' ? [effect.how] : []));
}

const VIDEO: CallInput = { type: 'call', kind: 'video', look: true };
const AUDIO: CallInput = { type: 'call', kind: 'audio', look: false };
const OPENED: CallInput = { type: 'opened', now: 0 };
const JOIN: CallInput = { type: 'join', now: 0 };
const NAMED: CallInput = { type: 'named', callId: 'call_1', kind: 'audio', polite: false };
const ANSWERED: CallInput = { type: 'answered', callId: 'call_1', now: 1000 };
const UP: CallInput = { type: 'path', path: 'up', now: 2000 };
const DOWN: CallInput = { type: 'path', path: 'down', now: 10_000 };
const HANG_UP: CallInput = { type: 'hangUp', now: 12_000 };
const OVER: CallInput = { type: 'over', now: 12_000 };
const REJECTED: CallInput = { type: 'ended', callId: 'call_1', how: 'reject', now: 5000 };
const TIMED_OUT: CallInput = { type: 'ended', callId: 'call_1', how: 'timeout', now: 5000 };
const ENDED: CallInput = { type: 'ended', callId: 'call_1', how: 'end', now: 5000 };

function offer(callId = 'call_1'): CallInput {
  return { type: 'offered', callId, kind: 'video', polite: true, now: 500 };
}

const CALLING = run(NO_CALL, AUDIO, OPENED).call;
const RINGING = run(NO_CALL, offer()).call;
const ACTIVE = run(CALLING, NAMED, ANSWERED, UP).call;

describe('a call that we make', () => {
  it('goes from the devices to the other and back', () => {
    const asked = run(NO_CALL, AUDIO);
    expect(asked.effects).toEqual([{ do: 'open', bring: 'audio' }]);
    expect(run(asked.call, OPENED).effects).toEqual([{ do: 'place' }]);
    const answered = run(CALLING, NAMED, ANSWERED);
    expect(answered.call.at).toBe('connecting');
    const up = run(answered.call, UP);
    expect(up.call).toMatchObject({ at: 'active', facts: { callId: 'call_1', since: 2000 } });
    expect(up.effects).toContainEqual({ do: 'connected' });
  });

  it('lets us see first what the other will see', () => {
    const looking = run(NO_CALL, VIDEO, OPENED);
    expect(looking.call).toMatchObject({ at: 'preparing', ready: true });
    expect(looking.effects).toEqual([]);
    expect(run(looking.call, JOIN).effects).toEqual([{ do: 'place' }]);
  });

  it('goes on without the device that is missing', () => {
    const trouble = run(NO_CALL, VIDEO, { type: 'trouble', code: 'camera_refused' });
    expect(trouble.call).toMatchObject({ trouble: 'camera_refused', ready: false });
    expect(run(trouble.call, JOIN).call).toEqual(trouble.call);
    const less = run(trouble.call, { type: 'bring', bring: 'audio' });
    expect(less.effects).toEqual([{ do: 'open', bring: 'audio' }]);
    expect(less.call).toMatchObject({ trouble: null, facts: { kind: 'video' } });
  });

  it('leaves no trace when it is called off before anybody knew', () => {
    const { call, effects } = run(NO_CALL, VIDEO, OPENED, HANG_UP);
    expect(call).toEqual(NO_CALL);
    expect(effects).toContainEqual({ do: 'close' });
    expect(record(effects)).toBeUndefined();
  });

  it.each([
    ['declined', REJECTED],
    ['unanswered', TIMED_OUT],
    ['unanswered', ENDED],
  ])('ends %s', (outcome, input) => {
    const { call, effects } = run(CALLING, NAMED, input);
    expect(call).toEqual(NO_CALL);
    expect(record(effects)).toMatchObject({ outcome, outgoing: true, seconds: 0 });
  });

  it('is called off', () => {
    const { effects } = run(CALLING, NAMED, HANG_UP);
    expect(effects).toContainEqual({ do: 'hangUp', how: 'end', callId: 'call_1' });
    expect(record(effects)?.outcome).toBe('cancelled');
  });

  it('is taken though its name was lost on the way', () => {
    expect(run(CALLING, { type: 'signals' }).effects).toEqual([{ do: 'resend' }]);
    const again = run(CALLING, { type: 'refused', code: 'call_active', now: 0 });
    expect(again.call.at).toBe('calling');
    expect(run(CALLING, ANSWERED).call).toMatchObject({ facts: { callId: 'call_1' } });
  });

  it('does not ring again at once after it was declined, and leaves no line', () => {
    const soon = run(CALLING, { type: 'refused', code: 'call_declined', now: 0 });
    expect(soon.call).toMatchObject({ at: 'idle', notice: 'declined' });
    expect(soon.effects).toContainEqual({ do: 'close' });
    expect(record(soon.effects)).toBeUndefined();
  });

  it('says why there is none', () => {
    const impossible: CallInput = { type: 'impossible', notice: 'unreachable', now: 0 };
    expect(run(CALLING, impossible).call).toMatchObject({ at: 'idle', notice: 'unreachable' });
    const refused = run(CALLING, { type: 'refused', code: 'rate_limited', now: 0 }).call;
    expect(refused).toMatchObject({ at: 'idle', notice: 'refused' });
    expect(run(refused, { type: 'dismiss' }).call).toEqual(NO_CALL);
    for (const [code, notice] of [
      ['consent_declined', 'no_audio'],
      ['new_device', 'new_device'],
      ['step_closed', 'step_closed'],
    ] as const)
      expect(run(CALLING, { type: 'refused', code, now: 0 }).call).toMatchObject({ notice });
  });
});

describe('a call that comes', () => {
  it('is taken without a camera', () => {
    const preparing = run(RINGING, { type: 'answer', bring: 'audio', look: false });
    expect(preparing.effects).toEqual([{ do: 'open', bring: 'audio' }]);
    const taken = run(preparing.call, OPENED);
    expect(taken.effects).toContainEqual({ do: 'take' });
    expect(taken.call).toMatchObject({ at: 'connecting', facts: { polite: true } });
  });

  it.each([
    ['while it rings', RINGING],
    ['in front of the camera', run(RINGING, { type: 'answer', bring: 'video', look: true }).call],
  ])('is declined %s', (_, from) => {
    const { effects } = run(from, HANG_UP);
    expect(effects).toContainEqual({ do: 'hangUp', how: 'reject', callId: 'call_1' });
    expect(record(effects)?.outcome).toBe('declined');
  });

  it.each([ENDED, TIMED_OUT, OVER])('is missed', (input) => {
    expect(record(run(RINGING, input).effects)?.outcome).toBe('missed');
  });

  it('is not ended by another one’s end', () => {
    expect(run(RINGING, { ...ENDED, callId: 'call_0' }).call).toEqual(RINGING);
  });
});

describe('both calling at once', () => {
  it('is one call, and taken at once', () => {
    const { call, effects } = run(CALLING, offer('call_theirs'));
    expect(effects).toContainEqual({ do: 'take' });
    expect(call).toMatchObject({
      at: 'connecting',
      facts: { callId: 'call_theirs', polite: true, outgoing: false },
    });
  });

  it('is theirs while we still look at ourselves', () => {
    const { call } = run(NO_CALL, VIDEO, OPENED, offer());
    expect(call).toMatchObject({ at: 'preparing', why: 'answer', facts: { callId: 'call_1' } });
    expect(run(call, JOIN).effects).toContainEqual({ do: 'take' });
  });
});

describe('a call that goes on', () => {
  it('ends with a line that says how long it was', () => {
    const { effects } = run(ACTIVE, HANG_UP);
    expect(effects).toContainEqual({ do: 'hangUp', how: 'end', callId: 'call_1' });
    expect(effects).toContainEqual({ do: 'close' });
    expect(record(effects)).toEqual({
      kind: 'audio',
      outgoing: true,
      outcome: 'talked',
      seconds: 10,
    });
  });

  it('ends with the conversation', () => {
    const { call, effects } = run(ACTIVE, OVER);
    expect(call).toEqual(NO_CALL);
    expect(effects).toContainEqual({ do: 'close' });
    expect(record(effects)?.outcome).toBe('talked');
  });

  it('is not disturbed by an offer of its own', () => {
    expect(run(ACTIVE, offer()).call).toEqual(ACTIVE);
  });

  it('gives way to one that begins when its own end was lost', () => {
    const { call, effects } = run(ACTIVE, offer('call_2'));
    expect(call).toMatchObject({ at: 'ringing', facts: { callId: 'call_2' } });
    expect(effects).toContainEqual({ do: 'close' });
  });

  it('survives too many candidates', () => {
    const refused: CallInput = { type: 'refused', code: 'too_many_candidates', now: 0 };
    expect(run(ACTIVE, refused).call).toEqual(ACTIVE);
  });
});

describe('a lost path', () => {
  const lost = run(ACTIVE, DOWN);

  it('is looked for at once, then ever more patiently, and given up', () => {
    expect(restarts(lost.effects)).toEqual(['any']);
    let { call } = lost;
    const tried: string[] = [];
    for (let now = 10_000; call.at === 'recovering'; now += 500) {
      const next = run(call, { type: 'tick', now });
      tried.push(...restarts(next.effects));
      call = next.call;
      expect(now).toBeLessThanOrEqual(10_000 + GIVE_UP_MS);
    }
    expect(tried).toEqual(['any', 'relay', 'sound', 'sound']);
    expect(call).toMatchObject({ at: 'idle', notice: 'lost' });
  });

  it('that is found again keeps the clock', () => {
    const { call } = run(lost.call, { type: 'path', path: 'up', now: 14_000 });
    expect(call).toMatchObject({ at: 'active', facts: { since: 2000 } });
  });

  it('is looked for again when signals can be sent', () => {
    expect(restarts(run(lost.call, { type: 'signals' }).effects)).toEqual(['any']);
    expect(run(ACTIVE, { type: 'signals' }).effects).toEqual([{ do: 'resend' }]);
    expect(restarts(run(ACTIVE, { type: 'network' }).effects)).toEqual(['any']);
  });

  it('is said to whoever hears that the other has given up', () => {
    const ended: CallInput = { type: 'ended', callId: 'call_1', how: 'end', now: 39_000 };
    const { call, effects } = run(lost.call, ended);
    expect(call).toMatchObject({ at: 'idle', notice: 'lost' });
    expect(effects).toContainEqual({ do: 'close' });
    expect(record(effects)).toMatchObject({ outcome: 'lost', seconds: 37 });
    expect(record(run(ACTIVE, ended).effects)?.outcome).toBe('talked');
  });

  it('that never was ends the attempt', () => {
    const { call, effects } = run(CALLING, NAMED, ANSWERED, {
      type: 'tick',
      now: 1000 + GIVE_UP_MS,
    });
    expect(call).toMatchObject({ at: 'idle', notice: 'failed' });
    expect(record(effects)?.outcome).toBe('failed');
  });
});

describe('after a reload', () => {
  const rejoin = {
    callId: 'call_1',
    kind: 'video',
    outgoing: true,
    polite: false,
    since: 2000,
  } as const;
  const found = run(NO_CALL, { type: 'found', rejoin }).call;

  it('the call is joined again when the guest wants it', () => {
    expect(run(found, offer()).call).toEqual(found);
    const { call, effects } = run(found, { type: 'rejoin', bring: 'audio' }, OPENED);
    expect(effects).toContainEqual({ do: 'rejoin' });
    expect(run(call, UP).call).toMatchObject({ at: 'active', facts: { since: 2000 } });
  });

  it('or is hung up', () => {
    const { call, effects } = run(found, HANG_UP);
    expect(call).toEqual(NO_CALL);
    expect(effects).toContainEqual({ do: 'hangUp', how: 'end', callId: 'call_1' });
    expect(record(effects)).toMatchObject({ outcome: 'talked', seconds: 10 });
  });

  it('is over when the other has hung up meanwhile', () => {
    expect(run(found, ENDED).call).toEqual(NO_CALL);
  });

  it('becomes a new one if it was over', () => {
    const joining = run(found, { type: 'rejoin', bring: 'audio' }, OPENED).call;
    const { call } = run(joining, {
      type: 'named',
      callId: 'call_2',
      kind: 'video',
      polite: false,
    });
    expect(call).toMatchObject({ at: 'calling', facts: { callId: 'call_2' } });
  });
});
