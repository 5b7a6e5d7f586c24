/** What happens to a report: each function returns the next state and what to do. */
import type { Reported, ReportError } from '../wire/types';
import { leave } from './actions';
import { sameRoom } from './conversation';
import type { Sent } from './report';
import type { State, Step } from './state';
import type { Trouble } from './trouble';

export function open(state: State): Step {
  const { conversation } = state;
  if (!conversation || state.report) return [state, []];
  const { roomId, epoch, partner } = conversation;
  const about = { roomId, epoch, name: partner.username };
  return [{ ...state, report: { ...about, at: 'writing', sent: null, trouble: null } }, []];
}

export function close(state: State): Step {
  const { report } = state;
  const next = report?.at === 'sending' ? { ...report, hidden: true } : null;
  return [{ ...state, report: next }, []];
}

export function send(state: State, sent: Sent): Step {
  const { report, ready } = state;
  if (report?.at !== 'writing') return [state, []];
  if (!ready) return [failed(state, sent, 'unreachable'), []];
  const { roomId, epoch, name } = report;
  return [
    { ...state, report: { roomId, epoch, name, at: 'sending', sent, hidden: false } },
    [{ do: 'emit', event: 'safety:report', payload: { ...sent, epoch } }],
  ];
}

/** The server has it. Who leaves is out by then. */
export function taken(state: State, event: Reported): Step {
  const { conversation, ready, report } = state;
  if (report?.at !== 'sending') return [state, []];
  const { roomId, epoch, name, sent } = report;
  const done: State = {
    ...state,
    report: { roomId, epoch, name, at: 'done', reason: sent.reason, ...event },
  };
  if (!sent.leave || !conversation || !sameRoom(conversation, report)) return [done, []];
  // The server needs no word of it.
  const [left, quiet] = leave({ ...done, ready: false });
  return [{ ...left, ready, leaving: null, blocked: name }, quiet];
}

export function refused(state: State, { code }: ReportError): Step {
  const { report } = state;
  return [report?.at === 'sending' ? failed(state, report.sent, code) : state, []];
}

function failed(state: State, sent: Sent, trouble: Trouble): State {
  if (!state.report) return state;
  const { roomId, epoch, name } = state.report;
  return { ...state, report: { roomId, epoch, name, at: 'writing', sent, trouble } };
}

/** Nobody can report a conversation that they are not in any more; and no answer comes over a lost connection. */
export function settle([state, effects]: Step): Step {
  const { conversation, link, report } = state;
  if (report?.at === 'sending' && link !== 'connected')
    return [failed(state, report.sent, 'unreachable'), effects];
  const gone = report?.at === 'writing' && (!conversation || !sameRoom(conversation, report));
  return gone ? [{ ...state, report: null }, effects] : [state, effects];
}
