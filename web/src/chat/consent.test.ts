import { describe, expect, it } from 'vitest';
import { stateOf } from './conversation';
import {
  emitted,
  established,
  event,
  linesOf,
  PARTNER,
  resumed,
  run,
  talking,
  write,
} from './samples';
import type { State } from './state';

const ABOUT = { userId: PARTNER.id, username: PARTNER.username } as const;
const asks = (step: 'links' | 'video') => event('consent:ask', { ...ABOUT, step });
const waits = event('consent:waiting', { step: 'links', clientId: 'a' });
const SENT = event('chat:message:sent', {
  messageId: 'msg_1',
  timestamp: '2026-01-01T10:00:00.000Z',
  status: 'sent',
  seq: 1,
  clientId: 'a',
});
const statesOf = (state: State): string[] =>
  linesOf(state).map((line) => stateOf({ delivered: 0 }, line));

describe('what the partner asks for', () => {
  const asked = run(talking(), asks('links'), asks('video'), asks('links')).state;

  it('is kept once, until it is answered', () => {
    expect(asked.conversation?.asked).toEqual(['video', 'links']);
    const { state, effects } = run(asked, { type: 'consent', step: 'links', allowed: true });
    expect(state.conversation).toMatchObject({ asked: ['video'], answers: { links: true } });
    expect(emitted(effects)).toEqual([['consent:answer', { step: 'links', allowed: true }]]);
  });

  it('is gone when they do not want it any more', () => {
    const gone = run(asked, event('consent:withdrawn', { ...ABOUT, step: 'video' })).state;
    expect(gone.conversation?.asked).toEqual(['links']);
  });

  it('is told again after a reconnection, and only that is left', () => {
    const back = run(asked, { type: 'down', retrying: true }, established(0), asks('video')).state;
    expect(back.conversation?.asked).toEqual(['video']);
  });

  it('cannot be answered without a connection', () => {
    const { state, effects } = run(
      asked,
      { type: 'down', retrying: true },
      { type: 'consent', step: 'links', allowed: true },
    );
    expect(state.conversation?.asked).toEqual(['video', 'links']);
    expect(emitted(effects)).toEqual([]);
  });
});

describe('what the partner is asked for', () => {
  const waiting = run(talking(), write('a'), waits).state;

  it('is shown as waiting, and then as sent', () => {
    expect(statesOf(waiting)).toEqual(['asking']);
    expect(statesOf(run(waiting, SENT).state)).toEqual(['sent']);
  });

  it('is sent again after a reconnection, as all that is not acknowledged', () => {
    const { effects } = run(
      waiting,
      { type: 'down', retrying: true },
      established(0),
      event('room:resumed', resumed({ seq: 0 })),
    );
    expect(emitted(effects)).toMatchObject([['chat:message', { clientId: 'a' }]]);
  });

  it('is refused when they do not want it now', () => {
    const refusal = { message: '', code: 'consent_declined', clientId: 'a' } as const;
    expect(linesOf(run(waiting, event('chat:error', refusal)).state)[0]).toMatchObject({
      refused: 'consent_declined',
      asking: false,
    });
  });
});
