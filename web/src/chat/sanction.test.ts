import { describe, expect, it } from 'vitest';
import { connected, CREATED, emitted, event, run, talking, write } from './samples';
import { initial, save, type Input } from './state';

const TOLD = {
  rule: 'threats',
  words: '<b>No</b>',
  until: '2026-01-08T00:00:00.000Z',
  appealCode: 'code-1',
} as const;
const BAN = { ...TOLD, since: '2026-01-01T00:00:00.000Z' };
const warning = (words: string): Input =>
  event('safety:told', { kind: 'warning', rule: 'hate', words });
const ENDED = event('safety:told', { kind: 'session_ended', rule: 'spam', words: 'Adverts' });
const BANNED = event('safety:told', { kind: 'banned', ...TOLD });
const CLOSING = event('connection:closing', { code: 'session_ended', reason: '' } as never);
const REFUSED: Input = { type: 'refused', code: 'banned', retryAfter: null, ban: BAN };
const NOT_MADE: Input = { type: 'sessionFailed', trouble: 'banned', retryAfter: null, ban: BAN };
const BEGIN: Input = { type: 'begin' };
const CREATE = { do: 'createSession', username: 'CalmOtter1000' };

describe('a warning', () => {
  const warned = run(talking(), warning('First'), warning('Second')).state;

  it('stays until it was read, and the next one follows', () => {
    expect(warned.warnings.map(({ words }) => words)).toEqual(['First', 'Second']);
    const read = run(warned, { type: 'warned' }).state;
    expect(read.warnings).toEqual([{ rule: 'hate', words: 'Second' }]);
    expect(read.conversation).toBe(warned.conversation);
  });

  it('outlives a reload, for it is told once', () => {
    const again = run(initial(), { type: 'boot', saved: save(warned), online: true }).state;
    expect(again.warnings).toEqual(warned.warnings);
  });
});

describe('who is sent away', () => {
  const out = run(talking(), write('a'), ENDED);

  it('is told why, and stays away', () => {
    expect(out.effects).toContainEqual({ do: 'disconnect' });
    expect(out.state).toMatchObject({
      view: 'start',
      link: 'stopped',
      conversation: null,
      barred: { kind: 'session_ended', rule: 'spam', words: 'Adverts' },
    });
    for (const input of [CLOSING, { type: 'down', retrying: false } as const])
      expect(run(out.state, input)).toEqual({ state: out.state, effects: [] });
  });

  it('is told so after a reload too', () => {
    const boot: Input = { type: 'boot', saved: save(out.state), online: true };
    const { state, effects } = run(initial(), boot);
    expect(effects).toEqual([]);
    expect(state).toMatchObject({ link: 'stopped', barred: out.state.barred });
    expect(run(state, BEGIN).effects).toEqual([CREATE]);
  });

  it('may begin anew, with nothing of the session before', () => {
    const { state, effects } = run(out.state, BEGIN);
    expect(effects).toEqual([CREATE]);
    expect(state.token).toBeNull();
    expect(run(state, BEGIN).effects).toEqual([]);
    expect(run(state, CREATED).state).toMatchObject({ barred: null, link: 'connecting' });
  });
});

describe('who was away when the session was ended', () => {
  const GONE: Input = { type: 'refused', code: 'session_not_found', retryAfter: null };

  it('asks with the token of that session, and is told in the new one', () => {
    const { state: away } = run(talking(), GONE);
    expect(away).toMatchObject({ token: null, former: 'token-1' });
    const ended = { rule: 'spam', words: 'Adverts', since: '2026-01-01T00:00:00.000Z' } as const;
    if (CREATED.type !== 'sessionCreated') throw new Error('another input');
    const { state } = run(away, { ...CREATED, created: { ...CREATED.created, ended } });
    expect(state.warnings).toEqual([{ rule: 'spam', words: 'Adverts', ended: true }]);
    expect(state).toMatchObject({ former: null, link: 'connecting' });
    expect(run(away, CREATED).state.warnings).toEqual([]);
  });
});

describe('who is banned', () => {
  it.each<[string, Input]>([
    ['while connected', BANNED],
    ['on the way back', REFUSED],
    ['at the beginning', NOT_MADE],
  ])('hears it %s', (_when, input) => {
    const { state, effects } = run(connected(), input);
    expect(state.barred).toMatchObject({ kind: 'banned', ...TOLD });
    expect(effects).toContainEqual({ do: 'disconnect' });
    expect(emitted(effects)).toEqual([]);
    expect(state.link).toBe('stopped');
  });

  it('is asked for by the server again after a reload', () => {
    const banned = run(connected(), BANNED).state;
    const boot: Input = { type: 'boot', saved: save(banned), online: true };
    const { state, effects } = run(initial(), boot);
    expect([state.barred, effects]).toEqual([null, [{ do: 'connect' }]]);
    expect(run(state, REFUSED).state.barred).toEqual({ kind: 'banned', ...BAN });
  });

  it('sees it again when it is too early to begin', () => {
    const { state } = run(connected(), BANNED, BEGIN, NOT_MADE);
    expect(state).toMatchObject({ creating: null, barred: { since: BAN.since } });
  });

  it('is not kept waiting by a server that cannot be reached', () => {
    const lost: Input = { type: 'sessionFailed', trouble: 'unreachable', retryAfter: null };
    const { state, effects } = run(connected(), BANNED, BEGIN, lost);
    expect(effects).toMatchObject([{ do: 'timer', key: 'session' }]);
    expect(state.barred).not.toBeNull();
  });
});
