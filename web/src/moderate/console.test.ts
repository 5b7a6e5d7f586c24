import { describe, expect, it, vi } from 'vitest';
import { formatsOf } from '../words/formats';
import type { CaseLine, CaseList, CaseView, Console, Template } from './models';
import { Api, Failure, fileUrl } from './api';
import { dueOf } from './due';
import { commandOf, KEYS, keyOf } from './keys';
import { after, beside, joined, replaced, without } from './line';
import { actionsFor, isTold, moves, needsWords, obstacle } from './may';
import { marksOf, templateOf } from './models';
import { caseHash, routeOf } from './route';
import german from './words/de';
import english from './words/en';
import { negotiate } from './words/spoken.svelte';

function line(id: string, changes: Partial<CaseLine> = {}): CaseLine {
  return {
    id,
    source: 'report',
    rule: 'hate',
    severity: 2,
    state: 'open',
    openedAt: '2026-01-01T00:00:00.000Z',
    dueAt: '2026-01-01T04:00:00.000Z',
    username: 'Anna',
    hasEvidence: true,
    onHold: false,
    earlier: 0,
    viewers: [],
    ...changes,
  };
}

function list(...ids: string[]): CaseList {
  return { cases: ids.map((id) => line(id)), next: null, total: ids.length };
}

const ids = ({ cases }: CaseList) => cases.map(({ id }) => id);

describe('the address', () => {
  it.each([
    ['', { name: 'queue' }],
    ['#', { name: 'queue' }],
    ['#/', { name: 'queue' }],
    ['#/appeals', { name: 'appeals' }],
    ['#/cases/a%2Fb', { name: 'case', id: 'a/b' }],
    ['#/setup/T-0_k', { name: 'setup', token: 'T-0_k' }],
    ['#/cases', { name: 'nowhere' }],
    ['#/cases/%', { name: 'nowhere' }],
    ['#/cases/a/b', { name: 'nowhere' }],
    ['#/audit/1', { name: 'nowhere' }],
    ['#/constructor', { name: 'nowhere' }],
  ])('%s', (hash, route) => {
    expect(routeOf(hash)).toEqual(route);
  });

  it('of a case leads back to it', () => {
    expect(routeOf(caseHash('a/b?#ä'))).toEqual({ name: 'case', id: 'a/b?#ä' });
  });
});

describe('the clock', () => {
  it.each([
    ['2026-01-01T01:00:00Z', 10_800, false, false],
    ['2026-01-01T03:30:00Z', 1800, false, true],
    ['2026-01-01T04:00:00Z', 0, false, true],
    ['2026-01-01T05:00:00Z', 3600, true, false],
  ])('at %s', (now, seconds, isLate, isSoon) => {
    expect(dueOf(line('a'), Date.parse(now))).toEqual({ seconds, isLate, isSoon });
  });

  it('is in minutes, hours, days', () => {
    const { time } = english(formatsOf('en-GB'));
    expect([59, 3599, 3600, 172_799, 172_800].map(time)).toEqual([
      '0 min',
      '59 min',
      '1 h 0 min',
      '47 h 59 min',
      '2 days',
    ]);
  });
});

describe('the queue', () => {
  it('goes on where it ended, with nobody in it twice', () => {
    const whole = joined(list('a', 'b'), { ...list('b', 'c'), total: 3 });
    expect(ids(whole)).toEqual(['a', 'b', 'c']);
    expect(whole.total).toBe(3);
  });

  it('loses who has left it, once', () => {
    const rest = without(without(list('a', 'b'), 'a'), 'a');
    expect(ids(rest)).toEqual(['b']);
    expect(rest.total).toBe(1);
  });

  it('shows a case as it is now', () => {
    expect(replaced(list('a', 'b'), line('b', { onHold: true })).cases[1]?.onHold).toBe(true);
  });

  it('has a way from each to the next', () => {
    const three = list('a', 'b', 'c');
    expect([beside(three, 'a', 1), beside(three, 'a', -1)]).toEqual(['b', null]);
    expect([beside(three, 'c', 1), beside(three, 'c', -1)]).toEqual([null, 'b']);
    expect([beside(three, 'x', 1), beside(three, 'x', -1)]).toEqual(['a', null]);
  });

  it('goes to the next after a decision, at the end to the one before', () => {
    expect([after(list('a', 'b'), 'a'), after(list('a', 'b'), 'b')]).toEqual(['b', 'a']);
    expect(after(list('a'), 'a')).toBeNull();
    expect(after(list(), 'a')).toBeNull();
  });
});

describe('what one may do', () => {
  it('is what the role allows', () => {
    expect(obstacle('ban', 'triage', line('a'))).toEqual({ role: 'moderator' });
    expect(obstacle('release', 'triage', line('a'))).toEqual({ role: 'moderator' });
    expect(obstacle('export', 'triage', line('a'))).toEqual({ role: 'moderator' });
    for (const action of ['dismiss', 'note', 'escalate', 'hold'] as const)
      expect(obstacle(action, 'triage', line('a'))).toBeNull();
    for (const role of ['moderator', 'admin'] as const)
      expect(obstacle('ban', role, line('a'))).toBeNull();
  });

  it('ends with the decision', () => {
    const closed = line('a', { state: 'closed' });
    expect(obstacle('warn', 'admin', closed)).toBe('closed');
    expect(obstacle('note', 'admin', closed)).toBeNull();
    expect(obstacle('export', 'admin', closed)).toBeNull();
    expect(obstacle('escalate', 'admin', line('a', { state: 'escalated' }))).toBe('escalated');
    expect(obstacle('ban', 'admin', line('a', { state: 'escalated' }))).toBeNull();
  });

  it('is to hold, or to release', () => {
    expect(actionsFor(line('a'))).toContain('hold');
    expect(actionsFor(line('a', { onHold: true }))).not.toContain('hold');
    expect(actionsFor(line('a', { onHold: true }))).toContain('release');
  });

  it('asks for words where somebody reads them', () => {
    expect(actionsFor(line('a')).filter(needsWords)).toEqual([
      'warn',
      'end_session',
      'ban',
      'hold',
      'note',
    ]);
    expect(actionsFor(line('a')).filter(isTold)).toEqual(['warn', 'end_session', 'ban']);
    expect(moves('note')).toBe(false);
  });

  it('is a ban by addresses only if the house can', () => {
    const view = { marks: ['address', 'device', 'session'] } as unknown as CaseView;
    const console = (canBanAddresses: boolean) => ({ canBanAddresses }) as unknown as Console;
    expect(marksOf(view, console(true))).toEqual(['session', 'device', 'address']);
    expect(marksOf(view, console(false))).toEqual(['session', 'device']);
  });
});

describe('a key', () => {
  const press = (key: string, more: Partial<KeyboardEvent> = {}) => ({
    key,
    ctrlKey: false,
    metaKey: false,
    altKey: false,
    repeat: false,
    isComposing: false,
    defaultPrevented: false,
    ...more,
  });

  it('has one meaning, and every action has one key', () => {
    expect(new Set(Object.values(KEYS)).size).toBe(Object.keys(KEYS).length);
    for (const action of [...actionsFor(line('a')), 'release'] as const)
      expect(keyOf(action)).toMatch(/^[a-z]$/);
  });

  it('means nothing where somebody writes, or with others', () => {
    expect(commandOf(press('b'), false)).toBe('ban');
    expect(commandOf(press('b'), true)).toBeNull();
    expect(commandOf(press('b', { ctrlKey: true }), false)).toBeNull();
    expect(commandOf(press('d', { metaKey: true }), false)).toBeNull();
    expect(commandOf(press('d', { isComposing: true }), false)).toBeNull();
    expect(commandOf(press('constructor'), false)).toBeNull();
    expect(commandOf(press('B'), false)).toBeNull();
  });

  it('that is held down walks, and decides nothing', () => {
    expect(commandOf(press('j', { repeat: true }), false)).toBe('next');
    expect(commandOf(press('d', { repeat: true }), false)).toBeNull();
  });
});

describe('a request', () => {
  const answering = (status: number, body: unknown) =>
    vi.fn<typeof fetch>(() => Promise.resolve(new Response(JSON.stringify(body), { status })));

  it('says what the page knows if it changes something', async () => {
    const fetching = answering(200, { success: true, data: ['eva'] });
    const api = new Api(vi.fn(), fetching);
    api.csrf = 'token';
    await expect(api.viewing('a/b')).resolves.toEqual(['eva']);
    const [url, init] = fetching.mock.calls[0] ?? [];
    expect(url).toBe('/api/moderate/cases/a%2Fb/viewing');
    expect(init?.headers).toEqual({ 'X-CSRF-Token': 'token' });
    await api.cases('open', 'x y');
    expect(fetching.mock.calls[1]?.[0]).toBe('/api/moderate/cases?state=open&after=x%20y');
    expect(fetching.mock.calls[1]?.[1]?.headers).toEqual({});
  });

  it.each(['login_required', 'csrf_invalid'])(
    'tells that the session is gone: %s',
    async (code) => {
      const onlost = vi.fn();
      const api = new Api(onlost, answering(401, { success: false, code }));
      await expect(api.figures()).rejects.toMatchObject({ code });
      expect(onlost).toHaveBeenCalledWith(code);
    },
  );

  it('fails with the server’s code, or what is known of it', async () => {
    const onlost = vi.fn();
    const limited = new Api(onlost, answering(429, { code: 'rate_limited', retryAfter: 3 }));
    await expect(limited.logIn('a', 'b', 'c')).rejects.toMatchObject({ retryAfter: 3 });
    const nonsense = new Api(onlost, () =>
      Promise.resolve(new Response('<html>', { status: 502 })),
    );
    await expect(nonsense.audit(0)).rejects.toMatchObject({ code: 'other' });
    const away = new Api(onlost, () => Promise.reject(new TypeError('away')));
    await expect(away.appeals()).rejects.toEqual(new Failure('offline'));
    expect(onlost).not.toHaveBeenCalled();
  });

  it('for a file is an address of this server', () => {
    expect(fileUrl('../x', 1)).toBe('/api/moderate/cases/..%2Fx/files/1');
  });
});

describe('what a guest is told', () => {
  const templates: Template[] = [
    { language: 'de', rule: 'hate', action: 'ban', words: 'Gesperrt' },
    { language: 'de', rule: 'spam', action: 'ban', words: 'Werbung' },
  ];

  it('is the template of the rule and the action', () => {
    expect(templateOf(templates, 'ban', 'spam')).toBe('Werbung');
    expect(templateOf(templates, 'warn', 'spam')).toBe('');
  });
});

describe('the words', () => {
  function texts(words: object): string[] {
    return Object.values(words).flatMap((value: unknown) => {
      if (typeof value === 'string') return [value];
      return typeof value === 'object' && value !== null ? texts(value) : [];
    });
  }

  it.each([
    ['en', english(formatsOf('en'))],
    ['de', german(formatsOf('de'))],
  ] as const)('in %s are none of them empty', (tag, words) => {
    expect(words.lang).toBe(tag);
    expect(texts(words).filter((text) => text.trim() === '')).toEqual([]);
    expect(Object.keys(words.decide.lengths)).toHaveLength(6);
  });

  it('are in the language that is wanted first', () => {
    expect(negotiate(['xx', 'de-AT', 'en'])).toBe('de');
    expect(negotiate(['constructor', 'xx'])).toBe('en');
  });
});
