/** Who may do what with a case, and what each action asks for. The server decides; this only says so before. */
import type { Action, CaseLine, Role } from './models';

const RANK: Record<Role, number> = { triage: 0, moderator: 1, admin: 2 };

const NEEDS: Record<Action, Role> = {
  dismiss: 'triage',
  note: 'triage',
  escalate: 'triage',
  hold: 'triage',
  release: 'moderator',
  warn: 'moderator',
  end_session: 'moderator',
  ban: 'moderator',
  export: 'moderator',
};

/** After these a case is no longer where it was. */
const MOVES: ReadonlySet<Action> = new Set(['dismiss', 'warn', 'end_session', 'ban', 'escalate']);

export type Obstacle = 'closed' | 'escalated' | { role: Role };

export function hasRole(role: Role, needed: Role): boolean {
  return RANK[role] >= RANK[needed];
}

/** Why an action cannot be taken; null: it can. */
export function obstacle(action: Action, role: Role, line: CaseLine): Obstacle | null {
  if (!hasRole(role, NEEDS[action])) return { role: NEEDS[action] };
  if (moves(action) && line.state === 'closed') return 'closed';
  if (action === 'escalate' && line.state === 'escalated') return 'escalated';
  return null;
}

/** Whether the case leaves its place in the queue. */
export function moves(action: Action): boolean {
  return MOVES.has(action);
}

/** Whether the guest reads the words of this decision. */
export function isTold(action: Action): boolean {
  return action === 'warn' || action === 'end_session' || action === 'ban';
}

export function needsWords(action: Action): boolean {
  return isTold(action) || action === 'hold' || action === 'note';
}

/** The actions to offer, in their order: evidence is held, or released. */
export function actionsFor(line: CaseLine): Action[] {
  return [
    ...(['dismiss', 'warn', 'end_session', 'ban', 'escalate'] as const),
    line.onHold ? 'release' : 'hold',
    'note',
    'export',
  ];
}
