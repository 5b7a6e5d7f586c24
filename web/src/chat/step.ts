/** The whole client as one function: a state and what happens, to the next state and what to do. */
import * as actions from './actions';
import { called } from './conversation';
import * as house from './house';
import { onEvent } from './events';
import * as link from './link';
import * as newcomer from './newcomer';
import type { Input, State, Step, TimerKey } from './state';
import * as report from './report_step';
import * as sanction from './sanction';
import * as uploads from './uploads';

export function step(state: State, input: Input): Step {
  return report.settle(uploads.settle(state, react(state, input)));
}

function react(state: State, input: Input): Step {
  if (actions.isRash(state, input)) return [state, []];
  switch (input.type) {
    case 'boot':
      return link.boot(state, input.saved, input.online);
    case 'online':
      return link.online(state, input.online);
    case 'sessionCreated':
      return link.sessionCreated(state, input.created);
    case 'sessionFailed':
      return link.sessionFailed(state, input);
    case 'answer':
      return newcomer.answer(state, input.given);
    case 'down':
      return link.down(state, input.retrying);
    case 'refused':
      return link.refused(state, input);
    case 'reconnect':
      return link.reconnect(state);
    case 'timer':
      return timer(state, input.key);
    case 'house':
      return house.told(state, input.house);
    case 'prefer':
      return [{ ...state, preferences: input.preferences }, []];
    case 'start':
      return actions.start(state, input.username);
    case 'cancel':
      return actions.cancel(state);
    case 'undo':
      return actions.undo(state);
    case 'send':
      return actions.send(state, input.clientId, input.content, input.at);
    case 'retry':
      return actions.retry(state, input.clientId);
    case 'typing':
      return actions.typing(state, input.active);
    case 'attach':
      return uploads.attach(state, input.files, input.now);
    case 'sendAttachments':
      return uploads.sendAll(state);
    case 'removeAttachment':
      return uploads.remove(state, input.id);
    case 'retryAttachment':
      return uploads.retry(state, input.id);
    case 'uploadProgress':
      return uploads.progress(state, input.id, input.share);
    case 'uploaded':
      return uploads.uploaded(state, input.id, input.file, input.at);
    case 'uploadFailed':
      return uploads.failed(state, input.id, input.trouble, input.retryAfter);
    case 'called': {
      const { conversation } = state;
      const { record, at } = input;
      return [
        conversation ? { ...state, conversation: called(conversation, record, at) } : state,
        [],
      ];
    }
    case 'partMissing':
      return [{ ...state, notice: 'part_missing' }, []];
    case 'next':
      return actions.next(state);
    case 'leave':
      return actions.leave(state);
    case 'consent':
      return actions.consent(state, input.step, input.allowed);
    case 'openTo':
      return actions.openTo(state, input.steps);
    case 'block':
      return actions.block(state);
    case 'report':
      return report[input.does](state);
    case 'sendReport':
      return report.send(state, input.report);
    case 'warned':
      return sanction.read(state);
    case 'begin':
      return sanction.begin(state);
    case 'event': {
      const heard = state.online ? state : { ...state, online: true };
      switch (input.event) {
        case 'connection:established':
          return link.established(heard, input.payload);
        case 'connection:closing':
          return link.closing(heard, input.payload);
        default:
          return onEvent(heard, input);
      }
    }
  }
}

function timer(state: State, key: TimerKey): Step {
  const { conversation, ready, view } = state;
  switch (key) {
    case 'typing':
      if (!conversation) return [state, []];
      return [{ ...state, conversation: { ...conversation, partnerTyping: false } }, []];
    case 'reloaded':
      if (!conversation) return [state, []];
      return [{ ...state, conversation: { ...conversation, partnerReloaded: false } }, []];
    case 'rest':
      return [{ ...state, resting: false }, []];
    case 'search':
      if (view !== 'searching' || !ready) return [state, []];
      return [{ ...state, notice: null }, [actions.ask(state)]];
    case 'block':
      return actions.blockAgain(state);
    case 'outbox':
      return state.ready ? actions.catchUp(state) : [state, []];
    case 'upload':
      return uploads.goOn(state);
    case 'session':
      if (state.creating === null) return [state, []];
      return [
        { ...state, notice: null },
        [{ do: 'createSession', username: state.me?.username ?? null }],
      ];
    case 'reconnect':
      return [state, state.link === 'reconnecting' ? [{ do: 'connect' }] : []];
    case 'stopping':
      return link.goodbyeOver(state);
    case 'comeBack':
      return link.comeBack(state);
    case 'undo':
      // Once asked, the server says whether it was in time.
      return [state.undo?.asked === true ? state : { ...state, undo: null }, []];
    case 'return':
      if (!conversation) return [state, []];
      return [{ ...state, conversation: { ...conversation, mayReturn: null } }, []];
    case 'opening':
      return house.opened(state);
  }
}
