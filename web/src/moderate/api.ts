/** Requests to `/api/moderate`. The session is a cookie that no script can read. */
import type {
  AppealLine,
  AuditLine,
  CaseList,
  CaseState,
  CaseView,
  Console,
  Decide,
  Figures,
  ModeratorLine,
  SanctionList,
  SetUp,
  Template,
} from './models';
import { BASE as ROOT } from '../wire/base';

const BASE = `${ROOT}api/moderate`;
/** Milliseconds until an answer has to be there, and one with a file in it. */
const DEADLINE = 15_000;
const FILE_DEADLINE = 120_000;

/** A request that came to nothing. */
export class Failure extends Error {
  constructor(
    /** Of the server; or `offline`, `late`: no answer, `unsure`: no answer, and perhaps it was done. */
    readonly code: string,
    /** Seconds; 0: unknown. */
    readonly retryAfter = 0,
  ) {
    super(code);
  }
}

/** Whether it may work once the network is better. */
export function isOfNetwork(error: unknown): boolean {
  return error instanceof Failure && (error.code === 'offline' || error.code === 'late');
}

function path(strings: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: strings }, ...values.map(encodeURIComponent));
}

interface Envelope {
  data?: unknown;
  code?: unknown;
  retryAfter?: unknown;
}

export function failureOf(body: Envelope | null): Failure {
  const code = typeof body?.code === 'string' ? body.code : 'other';
  return new Failure(code, typeof body?.retryAfter === 'number' ? body.retryAfter : 0);
}

export class Api {
  /** Goes with every request that changes something. */
  csrf = '';
  /** Milliseconds by which the server's clock is ahead of this machine's. */
  ahead = 0;

  constructor(
    /** The session has ended, or is another's. */
    private readonly onlost: (code: string) => void,
    private readonly fetching: typeof fetch = (input, init) => fetch(input, init),
  ) {}

  session = () => this.get<Console>('/session');
  logIn = (name: string, password: string, code: string) =>
    this.send<Console>('POST', '/session', { name, password, code });
  logOut = () => this.send<null>('DELETE', '/session');
  invited = (token: string) => this.get<SetUp>(path`/setup/${token}`);
  setUp = (token: string, password: string, code: string) =>
    this.act<null>(path`/setup/${token}`, { password, code });
  figures = () => this.get<Figures>('/figures');
  cases = (state: CaseState, after: string | null) =>
    this.get<CaseList>(path`/cases?state=${state}` + (after ? path`&after=${after}` : ''));
  case = (id: string) => this.get<CaseView>(path`/cases/${id}`);
  viewing = (id: string) => this.send<string[]>('POST', path`/cases/${id}/viewing`);
  decide = (id: string, body: Decide) => this.act<CaseView>(path`/cases/${id}/decisions`, body);
  appeals = () => this.get<AppealLine[]>('/appeals');
  answer = (id: number, verdict: 'upheld' | 'rejected', words: string) =>
    this.act<null>(path`/appeals/${id}`, { verdict, words });
  sanctions = (after: string | null) =>
    this.get<SanctionList>('/sanctions' + (after ? path`?after=${after}` : ''));
  lift = (id: number, words: string) => this.act<null>(path`/sanctions/${id}/lift`, { words });
  moderators = () => this.get<ModeratorLine[]>('/moderators');
  audit = (after: number) => this.get<AuditLine[]>(path`/audit?after=${after}`);
  templates = (language: string) =>
    this.get<Template[]>(path`/templates?language=${language || 'en'}`);

  file = (id: string, number: number) => this.load(filePath(id, number));
  export = (id: string) => this.load(path`/cases/${id}/export`);

  private async load(where: string): Promise<Blob> {
    const answer = await this.ask('GET', where, { deadline: FILE_DEADLINE });
    return await answer.blob().catch(unanswered);
  }

  private get<T>(where: string): Promise<T> {
    return this.send<T>('GET', where);
  }

  /** Nothing repeats this by itself: without an answer, nobody knows whether it was done. */
  private async act<T>(where: string, body: object): Promise<T> {
    try {
      return await this.send<T>('POST', where, body);
    } catch (error) {
      throw isOfNetwork(error) ? new Failure('unsure') : error;
    }
  }

  private async send<T>(method: string, where: string, body?: object): Promise<T> {
    const answer = await this.ask(method, where, { body });
    const envelope = await envelopeOf(answer);
    if (!envelope) throw new Failure('other');
    return envelope.data as T;
  }

  private async ask(
    method: string,
    where: string,
    { body, deadline = DEADLINE }: { body?: object | undefined; deadline?: number },
  ): Promise<Response> {
    const headers: Record<string, string> = {};
    if (method !== 'GET') headers['X-CSRF-Token'] = this.csrf;
    if (body) headers['Content-Type'] = 'application/json';
    const answer = await this.fetching(BASE + where, {
      method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: AbortSignal.timeout(deadline),
      ...(body && { body: JSON.stringify(body) }),
    }).catch(unanswered);
    const date = Date.parse(answer.headers.get('Date') ?? '');
    if (!Number.isNaN(date)) this.ahead = date - Number(new Date());
    if (answer.ok) return answer;
    const failure = failureOf(await envelopeOf(answer));
    if (failure.code === 'login_required' || failure.code === 'csrf_invalid')
      this.onlost(failure.code);
    throw failure;
  }
}

async function envelopeOf(answer: Response): Promise<Envelope | null> {
  try {
    const body: unknown = await answer.json();
    return typeof body === 'object' && body !== null ? body : null;
  } catch (error) {
    // Of a proxy, perhaps.
    return error instanceof SyntaxError ? null : unanswered(error);
  }
}

function unanswered(error: unknown): never {
  const isLate = error instanceof DOMException && error.name === 'TimeoutError';
  throw new Failure(isLate ? 'late' : 'offline');
}

function filePath(caseId: string, number: number): string {
  return path`/cases/${caseId}/files/${number}`;
}

/** The address of a file of the evidence. */
export function fileUrl(caseId: string, number: number): string {
  return BASE + filePath(caseId, number);
}
