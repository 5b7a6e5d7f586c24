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
  SanctionLine,
  SetUp,
  Template,
} from './models';

const BASE = '/api/moderate';

/** A request that came to nothing. */
export class Failure extends Error {
  constructor(
    /** Of the server, or `offline`. */
    readonly code: string,
    /** Seconds; 0: unknown. */
    readonly retryAfter = 0,
  ) {
    super(code);
  }
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
    this.send<null>('POST', path`/setup/${token}`, { password, code });
  figures = () => this.get<Figures>('/figures');
  cases = (state: CaseState, after: string | null) =>
    this.get<CaseList>(path`/cases?state=${state}` + (after ? path`&after=${after}` : ''));
  case = (id: string) => this.get<CaseView>(path`/cases/${id}`);
  viewing = (id: string) => this.send<string[]>('POST', path`/cases/${id}/viewing`);
  decide = (id: string, body: Decide) =>
    this.send<CaseView>('POST', path`/cases/${id}/decisions`, body);
  appeals = () => this.get<AppealLine[]>('/appeals');
  answer = (id: number, verdict: 'upheld' | 'rejected', words: string) =>
    this.send<null>('POST', path`/appeals/${id}`, { verdict, words });
  sanctions = () => this.get<SanctionLine[]>('/sanctions');
  lift = (id: number, words: string) =>
    this.send<null>('POST', path`/sanctions/${id}/lift`, { words });
  moderators = () => this.get<ModeratorLine[]>('/moderators');
  audit = (after: number) => this.get<AuditLine[]>(path`/audit?after=${after}`);
  templates = (language: string) =>
    this.get<Template[]>(path`/templates?language=${language || 'en'}`);

  async export(id: string): Promise<Blob> {
    const answer = await this.ask('GET', path`/cases/${id}/export`);
    return await answer.blob().catch(() => {
      throw new Failure('offline');
    });
  }

  private get<T>(where: string): Promise<T> {
    return this.send<T>('GET', where);
  }

  private async send<T>(method: string, where: string, body?: object): Promise<T> {
    const answer = await this.ask(method, where, body);
    const envelope = await envelopeOf(answer);
    if (!envelope) throw new Failure('other');
    return envelope.data as T;
  }

  private async ask(method: string, where: string, body?: object): Promise<Response> {
    const headers: Record<string, string> = {};
    if (method !== 'GET') headers['X-CSRF-Token'] = this.csrf;
    if (body) headers['Content-Type'] = 'application/json';
    let answer: Response;
    try {
      answer = await this.fetching(BASE + where, {
        method,
        headers,
        credentials: 'same-origin',
        cache: 'no-store',
        ...(body && { body: JSON.stringify(body) }),
      });
    } catch {
      throw new Failure('offline');
    }
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
  } catch {
    return null;
  }
}

/** The address of a file of the evidence. */
export function fileUrl(caseId: string, number: number): string {
  return BASE + path`/cases/${caseId}/files/${number}`;
}
