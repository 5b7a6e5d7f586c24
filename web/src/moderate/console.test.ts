import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { formatsOf } from '../words/formats';
import type { CaseLine, CaseList, CaseView, Console, SanctionList, Template } from './models';
import { Api, Failure, fileUrl, isOfNetwork } from './api';
import { dueOf } from './due';
import { commandOf, KEYS, keyOf } from './keys';
import { after, beside, joined, joinedBans, loadedAgain, replaced, without } from './line';
import { actionsFor, isTold, moves, needsWords, obstacle } from './may';
import { marksOf, templateOf } from './models';
import { Office } from './office.svelte';
import { caseHash, routeOf } from './route';
import german from './words/de';
import english from './words/en';
import { begin, negotiate } from './words/spoken.svelte';

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

  it('of bans goes on likewise', () => {
    const bans = (next: string | null, ...of: number[]) =>
      ({ next, sanctions: of.map((id) => ({ id })) }) as SanctionList;
    const whole = joinedBans(bans('5', 7, 6), bans(null, 6, 5));
    expect(whole).toEqual(bans(null, 7, 6, 5));
  });

  it('is loaded again as far as it was', async () => {
    const parts = [list('a', 'b'), list('c', 'd'), list('e', 'f')];
    const load = vi.fn((after: string | null) => {
      const at = Number(after ?? 0);
      return Promise.resolve({ ...list(), ...parts[at], next: at < 2 ? String(at + 1) : null });
    });
    const whole = await loadedAgain(load, joined, ({ cases }) => cases.length >= 3);
    expect([ids(whole), whole.next]).toEqual([['a', 'b', 'c', 'd'], '2']);
    expect(ids(await loadedAgain(load, joined, () => false))).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'f',
    ]);
    expect(ids(await loadedAgain(load, joined, () => true))).toEqual(['a', 'b']);
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
    shiftKey: false,
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
  });

  it('is the same with caps lock, and another one with Shift', () => {
    expect(commandOf(press('B'), false)).toBe('ban');
    expect(commandOf(press('B', { shiftKey: true }), false)).toBeNull();
    expect(commandOf(press('b', { shiftKey: true }), false)).toBeNull();
    expect(commandOf(press('?', { shiftKey: true }), false)).toBe('keys');
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
    const broken = new Api(onlost, () =>
      Promise.resolve(
        new Response(
          new ReadableStream({
            start(body) {
              body.error(new TypeError('away'));
            },
          }),
        ),
      ),
    );
    await expect(broken.appeals()).rejects.toEqual(new Failure('offline'));
    await expect(broken.file('a', 1)).rejects.toEqual(new Failure('offline'));
    expect(onlost).not.toHaveBeenCalled();
  });

  it('has a deadline', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => AbortSignal.abort());
    const fetching = vi.fn<typeof fetch>((_, init) => {
      expect(init?.signal?.aborted).toBe(true);
      return Promise.reject(new DOMException('', 'TimeoutError'));
    });
    const api = new Api(vi.fn(), fetching);
    const asked = [
      api.session(),
      api.cases('open', null),
      api.case('a'),
      api.appeals(),
      api.audit(0),
    ];
    for (const one of asked) await expect(one).rejects.toEqual(new Failure('late'));
    await expect(api.export('a')).rejects.toEqual(new Failure('late'));
    expect(timeout.mock.calls).toEqual([...asked.map(() => [15_000]), [120_000]]);
    timeout.mockRestore();
  });

  it('that does something may have done it, and is made once', async () => {
    const fetching = vi.fn<typeof fetch>(() => Promise.reject(new TypeError('away')));
    const api = new Api(vi.fn(), fetching);
    const done = [
      api.decide('a', { action: 'dismiss', rule: 'hate' }),
      api.answer(1, 'upheld', 'why'),
      api.lift(1, 'why'),
      api.setUp('token', 'password', '123456'),
    ];
    for (const one of done) await expect(one).rejects.toEqual(new Failure('unsure'));
    expect(isOfNetwork(new Failure('unsure'))).toBe(false);
    expect(isOfNetwork(new Failure('offline')) && isOfNetwork(new Failure('late'))).toBe(true);
    expect(fetching).toHaveBeenCalledTimes(done.length);
  });

  it('for a file is an address of this server', () => {
    expect(fileUrl('../x', 1)).toBe('/api/moderate/cases/..%2Fx/files/1');
  });
});

describe('the office', () => {
  interface Answer {
    status?: number;
    body: unknown;
    date?: string;
  }

  const NOW = '2026-01-01T00:00:00Z';
  const eva = { name: 'eva', role: 'moderator', csrf: 'of eva' };
  const max = { name: 'max', role: 'moderator', csrf: 'of max' };
  const refusal = (status: number, code: string): Answer => ({ status, body: { code } });
  const draft = {
    action: 'note',
    rule: 'hate',
    written: 'seen',
    by: [],
    length: '604800',
  } as const;

  /** What the server says to each request, by method and path; asked for again, it is the same. */
  let answers: Record<string, Answer> = {};
  /** Until then, what follows in a list is on its way. */
  let held = Promise.resolve();
  const fetching = vi.fn<typeof fetch>(async (input, init) => {
    const where = (input as string).replace('/api/moderate', '');
    const found = answers[`${init?.method ?? ''} ${where}`];
    if (!found) throw new TypeError('away');
    if (where.includes('after=')) await held;
    const { status = 200, body, date } = found;
    const headers = { ...(date && { Date: date }) };
    return new Response(JSON.stringify(body), { status, headers });
  });
  const session = (console: object): Answer => ({ body: { data: console } });
  const seated = async () => {
    const office = new Office(fetching);
    answers = { 'GET /session': session(eva) };
    await office.resume();
    office.drafts.decisions.set('a', { ...draft, by: [] });
    return office;
  };

  beforeAll(async () => {
    vi.stubGlobal('document', { documentElement: {} });
    vi.stubGlobal('navigator', { languages: ['en'] });
    expect(await begin()).toBe(true);
  });

  afterEach(() => {
    fetching.mockClear();
  });

  afterAll(() => {
    vi.unstubAllGlobals();
  });

  it('has the clock of the server', async () => {
    vi.useFakeTimers({ now: Date.parse(NOW) });
    answers = { 'GET /session': { ...session(eva), date: 'Thu, 01 Jan 2026 01:30:00 GMT' } };
    const office = new Office(fetching);
    await office.resume();
    expect(new Date(office.now).toISOString()).toBe('2026-01-01T01:30:00.000Z');
    vi.useRealTimers();
  });

  it('gives what was typed back to who has typed it, once the session is there again', async () => {
    const office = await seated();
    answers = { 'GET /figures': refusal(401, 'login_required') };
    await expect(office.api.figures()).rejects.toMatchObject({ code: 'login_required' });
    expect(office.console).toBeNull();
    expect(office.said).toContain('has ended');
    answers = { 'POST /session': session({ ...eva, csrf: 'anew' }) };
    await office.logIn('eva', 'p', 'c');
    expect(office.drafts.decisions.get('a')?.written).toBe('seen');
    expect([office.said, office.api.csrf]).toEqual(['', 'anew']);
  });

  it('gives what was typed to nobody else', async () => {
    const office = await seated();
    office.drafts.lift = { id: 1, text: 'why' };
    answers = { 'GET /figures': refusal(401, 'login_required'), 'POST /session': session(max) };
    await expect(office.api.figures()).rejects.toMatchObject({ code: 'login_required' });
    await office.logIn('max', 'p', 'c');
    expect([office.drafts.decisions.size, office.drafts.lift]).toEqual([0, null]);
  });

  it('says so when somebody else is logged in, and does nothing in their name', async () => {
    const office = await seated();
    office.queue = list('a');
    answers = {
      'POST /cases/a/decisions': refusal(403, 'csrf_invalid'),
      'GET /session': session(max),
    };
    const body = { action: 'dismiss', rule: 'hate' } as const;
    await expect(office.decide('a', body)).rejects.toMatchObject({ code: 'csrf_invalid' });
    await office.resume();
    expect(office.console?.name).toBe('max');
    expect(office.said).toContain('max, moderator');
    expect([office.queue, office.drafts.decisions.size]).toEqual([null, 0]);
    const sent = fetching.mock.calls.filter(([, init]) => init?.method === 'POST');
    expect(sent.map(([, init]) => init?.headers)).toEqual([
      { 'X-CSRF-Token': 'of eva', 'Content-Type': 'application/json' },
    ]);
  });

  it('goes on for the same person with a new session', async () => {
    const office = await seated();
    answers = {
      'POST /sanctions/1/lift': refusal(403, 'csrf_invalid'),
      'GET /session': session({ ...eva, csrf: 'anew' }),
    };
    await expect(office.api.lift(1, 'why')).rejects.toMatchObject({ code: 'csrf_invalid' });
    await office.resume();
    expect([office.api.csrf, office.said, office.drafts.decisions.size]).toEqual(['anew', '', 1]);
  });

  it('asks once who is there when even that is refused', async () => {
    const office = new Office(fetching);
    answers = { 'GET /session': refusal(403, 'csrf_invalid') };
    await office.resume();
    expect(office.closed).toMatchObject({ code: 'csrf_invalid' });
    expect(fetching).toHaveBeenCalledTimes(1);
  });

  it('keeps what is open while the server is away', async () => {
    const office = await seated();
    answers = {};
    await office.resume();
    expect([office.console?.name, office.closed]).toEqual(['eva', null]);
  });

  it('shows as many cases as before when the queue is loaded again', async () => {
    const office = await seated();
    const part = (next: string | null, ...of: string[]) => ({
      body: { data: { ...list(...of), next } },
    });
    answers = { 'GET /cases?state=open': part('2', 'a', 'b') };
    answers['GET /cases?state=open&after=2'] = part('4', 'c', 'd');
    answers['GET /cases?state=open&after=4'] = part(null, 'e');
    const shown = () => office.queue && ids(office.queue).join('');
    await office.loadQueue();
    expect(shown()).toBe('ab');
    // "More" is asked for while the list is loaded again, which is there first.
    let arrives = (): void => undefined;
    held = new Promise((resolve) => {
      arrives = resolve;
    });
    const more = office.loadMore();
    await office.loadQueue();
    arrives();
    await more;
    expect(shown()).toBe('abcd');
    await office.loadQueue();
    expect([shown(), office.queue?.next]).toEqual(['abcd', '4']);
    // Likewise, and "more" is there first.
    await Promise.all([office.loadQueue(), office.loadMore()]);
    expect([shown(), office.queue?.next]).toEqual(['abcde', null]);
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
