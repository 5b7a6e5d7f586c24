import { describe, expect, it } from 'vitest';
import * as talk from './exchange';
import { stateOf, unsent, type Conversation } from './conversation';
import { allOf } from './lines';
import { conversation, ME, message, PARTNER, resumed } from './samples';

const AT = '2026-01-02T03:04:05.000Z';

function receive(from: Conversation, ...seqs: number[]): Conversation {
  return seqs.reduce((state, seq) => talk.received(state, message(seq), ME), from);
}

function write(from: Conversation, ...clientIds: string[]): Conversation {
  return clientIds.reduce(
    (state, clientId) => talk.wrote(state, { clientId, type: 'text', content: clientId, at: AT }),
    from,
  );
}

function accept(from: Conversation, clientId: string, seq: number): Conversation {
  return talk.accepted(from, clientId, { id: `msg_${seq}`, seq, at: AT });
}

function keys(state: Conversation): string[] {
  return allOf(state.lines).map((line) => line.key);
}

function states(state: Conversation): string[] {
  return allOf(state.lines).map((line) => stateOf(state, line));
}

describe('order', () => {
  it('is that of the seqs, whatever order they arrive in', () => {
    expect(keys(receive(conversation(), 2, 1, 3))).toEqual(['msg_1', 'msg_2', 'msg_3']);
  });

  it('puts our unacknowledged messages last, in the order of writing', () => {
    const state = receive(write(conversation(), 'a', 'b'), 1);
    expect(keys(state)).toEqual(['msg_1', 'a', 'b']);
    expect(keys(accept(state, 'a', 2))).toEqual(['msg_1', 'a', 'b']);
  });

  it('leaves a refused message where it was written', () => {
    const state = talk.refused(write(receive(conversation(), 1), 'a'), 'a', 'text_too_long');
    expect(keys(receive(state, 2))).toEqual(['msg_1', 'a', 'msg_2']);
    expect(keys(talk.retried(receive(state, 2), 'a'))).toEqual(['msg_1', 'msg_2', 'a']);
  });
});

describe('duplicates', () => {
  it('drops a message that is here already', () => {
    expect(receive(conversation(), 1, 1).lines).toHaveLength(1);
  });

  it('knows our own message again in a replay by its client id', () => {
    const own = message(1, { senderId: ME, clientId: 'a' });
    const state = talk.received(write(conversation(), 'a'), own, ME);
    expect(keys(state)).toEqual(['a']);
    expect(states(state)).toEqual(['sent']);
    expect(talk.received(state, own, ME).lines).toHaveLength(1);
  });

  it('shows our own message that a reload has forgotten', () => {
    const state = talk.received(conversation(), message(1, { senderId: ME, clientId: 'a' }), ME);
    expect(allOf(state.lines)).toMatchObject([{ own: true, key: 'a', id: 'msg_1' }]);
  });

  it('ignores a message of somebody who is not in this conversation', () => {
    expect(
      talk.received(conversation(), message(1, { senderId: 'guest_other' }), ME).lines,
    ).toHaveLength(0);
  });
});

describe('ticks', () => {
  it('go from sending over sent to delivered', () => {
    let state = write(conversation(), 'a');
    expect(states(state)).toEqual(['sending']);
    state = accept(state, 'a', 1);
    expect(states(state)).toEqual(['sent']);
    expect(states(talk.delivered(state, 'msg_1'))).toEqual(['delivered']);
  });

  it('imply all earlier messages', () => {
    const state = accept(
      accept(accept(write(conversation(), 'a', 'b', 'c'), 'a', 1), 'b', 2),
      'c',
      3,
    );
    expect(states(talk.delivered(state, 'msg_2'))).toEqual(['delivered', 'delivered', 'sent']);
  });

  it('do not go back when an acknowledgement comes again', () => {
    const state = talk.delivered(accept(write(conversation(), 'a'), 'a', 1), 'msg_1');
    expect(states(accept(state, 'a', 1))).toEqual(['delivered']);
  });

  it('are not moved by the notice that follows a message of the partner', () => {
    const state = receive(accept(write(conversation(), 'a'), 'a', 1), 2);
    expect(states(talk.delivered(state, 'msg_2'))).toEqual(['sent', 'received']);
  });
});

describe('resume', () => {
  it('asks from the last message before a hole', () => {
    expect(receive(conversation(), 1, 2, 5).contiguous).toBe(2);
    expect(receive(conversation(), 1, 2, 5, 4, 3)).toMatchObject({ contiguous: 5, ahead: [] });
  });

  it('counts our own acknowledged messages', () => {
    expect(accept(write(receive(conversation(), 1), 'a'), 'a', 2).contiguous).toBe(2);
  });

  it('shows a gap, and asks from behind it the next time', () => {
    const state = talk.resumed(receive(conversation(), 1), resumed({ seq: 10, gap: 6 }));
    expect(state.gaps).toEqual([{ after: 1, count: 6 }]);
    expect(state.contiguous).toBe(7);
    expect(receive(state, 8, 9, 10).contiguous).toBe(10);
  });

  it('learns what was delivered in the meantime', () => {
    const state = accept(accept(write(conversation(), 'a', 'b'), 'a', 1), 'b', 2);
    expect(states(talk.resumed(state, resumed({ seq: 2, delivered: 1 })))).toEqual([
      'delivered',
      'sent',
    ]);
  });

  it('confirms the last message of a replay for all of them', () => {
    let state = talk.resumed(conversation(), resumed({ seq: 3 }));
    state = receive(state, 1, 2);
    expect(talk.takeConfirmation(state)[0]).toBeNull();
    state = talk.received(state, message(3, { senderId: ME, clientId: 'a' }), ME);
    expect(talk.takeConfirmation(state)[0]).toBe('msg_2');
  });

  it('confirms again what may have been lost with the old connection', () => {
    const [, state] = talk.takeConfirmation(receive(conversation(), 1));
    expect(talk.takeConfirmation(state)[0]).toBeNull();
    expect(talk.takeConfirmation(talk.resumed(state, resumed({ seq: 1 })))[0]).toBe('msg_1');
  });
});

describe('the end', () => {
  it('marks what never reached the partner', () => {
    const state = accept(accept(write(conversation(), 'a', 'b', 'c'), 'a', 1), 'b', 2);
    const over = talk.ended(state, 'disconnected', [{ messageId: 'msg_2', clientId: 'b' }]);
    expect(states(over)).toEqual(['sent', 'undelivered', 'undelivered']);
    expect(over.ending).toBe('disconnected');
    expect(unsent(over)).toEqual([]);
  });

  it('keeps the partner’s name', () => {
    expect(talk.ended(conversation(), 'left').partner).toEqual(PARTNER);
  });
});
