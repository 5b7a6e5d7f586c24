/** The state of the console: who is logged in, where, and the queue. */
import { Api, Failure, isOfNetwork } from './api';
import { Drafts } from './drafts';
import { after, beside, joined, loadedAgain, replaced, without } from './line';
import { hasRole, moves } from './may';
import type { CaseList, CaseState, CaseView, Console, Decide, Role, Template } from './models';
import { caseHash, routeOf, type Route } from './route';
import { words } from './words/spoken.svelte';

/** Milliseconds between two looks at the clock. */
const TICK = 10_000;

export function troubleText(error: unknown): string {
  const { trouble } = words();
  if (!(error instanceof Failure)) return trouble.other;
  if (error.code === 'rate_limited') return trouble.rate_limited(Math.ceil(error.retryAfter));
  const code = Object.hasOwn(trouble, error.code) ? error.code : 'other';
  const text = trouble[code as keyof typeof trouble];
  return typeof text === 'string' ? text : trouble.other;
}

export class Office {
  readonly api: Api;
  /** Undefined: not known yet. */
  console = $state.raw<Console | null | undefined>(undefined);
  route = $state.raw<Route>({ name: 'queue' });
  /** By the server's clock: this machine's may be wrong. */
  now = $state.raw(Number(new Date()));
  /** What has just happened, for everybody to hear. */
  said = $state.raw('');
  /** Why nothing can be shown at all. */
  closed = $state.raw<unknown>(null);

  queueState = $state.raw<CaseState>('open');
  queue = $state.raw<CaseList | null>(null);
  readonly drafts = new Drafts();
  /** Who was logged in last, and whose drafts there are. */
  private owner = '';
  private resuming: Promise<void> | null = null;
  private turn = 0;
  private readonly templates = new Map<string, Promise<Template[]>>();

  constructor(fetching?: typeof fetch) {
    this.api = new Api((code) => {
      // Another tab may have logged in as somebody else, or anew.
      if (code === 'csrf_invalid') void this.resume();
      else {
        const wasHere = !!this.console;
        this.leave();
        if (wasHere) this.said = words().ended;
      }
    }, fetching);
  }

  /** Follow the address and the clock. */
  begin(): void {
    const follow = () => {
      this.route = routeOf(location.hash);
    };
    addEventListener('hashchange', follow);
    follow();
    setInterval(() => {
      this.tick();
    }, TICK);
    addEventListener('online', () => {
      if (isOfNetwork(this.closed)) void this.resume();
    });
    document.addEventListener('visibilitychange', () => {
      // Perhaps somebody else has logged in meanwhile, in another tab.
      if (!document.hidden && this.console) void this.resume();
    });
    void this.resume();
  }

  private tick(): void {
    this.now = Number(new Date()) + this.api.ahead;
  }

  /** Find out who is logged in, if anybody. */
  resume(): Promise<void> {
    this.resuming ??= this.identify().finally(() => {
      this.resuming = null;
    });
    return this.resuming;
  }

  private async identify(): Promise<void> {
    this.closed = null;
    try {
      this.enter(await this.api.session());
    } catch (error) {
      const isNobody = error instanceof Failure && error.code === 'login_required';
      // What is open stays: only the token of who opened it goes with what they do.
      if (!isNobody && !this.console) this.closed = error;
    }
  }

  async logIn(name: string, password: string, code: string): Promise<void> {
    this.enter(await this.api.logIn(name, password, code));
  }

  async logOut(): Promise<void> {
    await this.api.logOut();
    this.leave();
    this.drafts.forget();
    this.go('#/');
  }

  /** Nothing of a case stays on the screen; the address does, to come back to. */
  private leave(): void {
    this.api.csrf = '';
    this.console = null;
    this.clear();
  }

  private clear(): void {
    this.turn++;
    this.queue = null;
    this.said = '';
    this.templates.clear();
  }

  private enter(console: Console): void {
    const before = this.console;
    if (console.name !== this.owner) this.drafts.forget();
    if (before?.name !== console.name) this.clear();
    if (before && before.name !== console.name)
      this.said = words().changed(words().who(console.name, words().role[console.role]));
    this.owner = console.name;
    this.api.csrf = console.csrf;
    this.console = console;
    this.tick();
  }

  has(role: Role): boolean {
    return !!this.console && hasRole(this.console.role, role);
  }

  go(hash: string): void {
    location.hash = hash;
  }

  // ── the queue ───────────────────────────────────────────────────────────────────────────────────

  async loadQueue(state: CaseState = this.queueState): Promise<void> {
    const turn = ++this.turn;
    if (state !== this.queueState) this.queue = null;
    this.queueState = state;
    const list = await loadedAgain(
      (after) => this.api.cases(state, after),
      joined,
      // "More" may have come meanwhile.
      ({ cases }) => turn !== this.turn || cases.length >= (this.queue?.cases.length ?? 0),
    );
    if (turn === this.turn) this.queue = list;
  }

  async loadMore(): Promise<void> {
    const { queue, queueState } = this;
    if (!queue?.next) return;
    const more = await this.api.cases(queueState, queue.next);
    if (this.queue === queue) this.queue = joined(queue, more);
    // It was loaded again, or a case has left it: what was asked for may not be what follows now.
    else if (this.queueState === queueState) await this.loadMore();
  }

  /** Go to the case beside one; at the end of what was loaded, to the first of what follows. */
  async walk(id: string, steps: 1 | -1): Promise<void> {
    if (!this.queue) await this.loadQueue();
    if (this.queue && steps > 0 && !beside(this.queue, id, 1)) await this.loadMore();
    const found = this.queue && beside(this.queue, id, steps);
    if (found) this.go(caseHash(found));
  }

  // ── a case ──────────────────────────────────────────────────────────────────────────────────────

  /** Decide; the case as it is now, or null when the next one is shown. */
  async decide(id: string, body: Decide): Promise<CaseView | null> {
    const view = await this.api.decide(id, body);
    this.said = words().case.done(words().action[body.action]);
    if (!moves(body.action)) {
      if (this.queue) this.queue = replaced(this.queue, view.case);
      return view;
    }
    // More of the queue may be there than was loaded; a case that was opened by its address is in none.
    try {
      if (!this.queue) await this.loadQueue();
      else if (!beside(this.queue, id, 1)) await this.loadMore();
    } catch {
      // It is decided, whatever becomes of the queue: that is asked for again on its own screen.
    }
    const next = this.queue && after(this.queue, id);
    if (this.queue) this.queue = without(this.queue, id);
    this.go(next ? caseHash(next) : '#/');
    return null;
  }

  /** What guests are told, in one's language. */
  async templatesIn(language: string): Promise<Template[]> {
    const known = this.templates.get(language) ?? this.api.templates(language);
    this.templates.set(language, known);
    try {
      return await known;
    } catch (error) {
      this.templates.delete(language);
      throw error;
    }
  }
}
