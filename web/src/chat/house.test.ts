import { describe, expect, it } from 'vitest';
import { connected, event, run } from './samples';
import type { MatchingStatus } from '../wire/types';
import type { Input } from './state';

function texts(text: number): MatchingStatus['waiting'] {
  return { text, audio: 0, video: 0 };
}

const OPEN: Input = {
  type: 'house',
  house: { waiting: texts(3), suggestions: ['tea'], closesIn: 9 },
};
const CLOSED: Input = { type: 'house', house: { waiting: texts(0), suggestions: [], opensIn: 90 } };
const START: Input = { type: 'start', username: 'CalmOtter1000' };
const OPENS: Input = { type: 'timer', key: 'opening' };

describe('what others search with', () => {
  function told(...suggestions: string[]): Input {
    return { type: 'house', house: { waiting: texts(9), suggestions } };
  }

  it('stays where it was as long as it is there', () => {
    const { state } = run(connected(), told('tea', 'rain', 'chess'));
    expect(state.house?.suggestions).toEqual(['tea', 'rain', 'chess']);
    const later = run(state, told('chess', 'films', 'tea')).state;
    expect(later.house?.suggestions).toEqual(['tea', 'chess', 'films']);
  });

  it('is no crowd', () => {
    const { state } = run(connected(), told(...Array.from('abcdefghi')));
    expect(state.house?.suggestions).toEqual(Array.from('abcdef'));
  });
});

describe('somebody else who searches', () => {
  it('is known to who was told that there is nobody', () => {
    const { state } = run(connected(), START, event('user:match:no_users', { message: '' }));
    expect(run(state, CLOSED).state.nobodyYet).toBe(true);
    expect(run(state, OPEN).state.nobodyYet).toBe(false);
  });
});

describe('a house with hours', () => {
  it('that is closed opens by itself', () => {
    const { state, effects } = run(connected(), CLOSED);
    expect(effects).toEqual([{ do: 'timer', key: 'opening', ms: 90_000 }]);
    expect(run(state, OPENS).state.house).toEqual({ waiting: texts(0), suggestions: [] });
  });

  it('that is open waits for nothing', () => {
    expect(run(connected(), CLOSED, OPEN).effects).toEqual([
      { do: 'timer', key: 'opening', ms: null },
    ]);
  });

  it('refuses a search, and says when it opens', () => {
    const refusal = { message: '', code: 'house_closed', retryAfter: 30 } as const;
    const { state, effects } = run(connected(), OPEN, START, event('user:match:error', refusal));
    expect(state).toMatchObject({ view: 'start', notice: null });
    expect(state.house).toEqual({ waiting: texts(3), suggestions: ['tea'], opensIn: 30 });
    expect(effects).toEqual([{ do: 'timer', key: 'opening', ms: 30_000 }]);
    expect(run(connected(), START, event('user:match:error', refusal)).state.house).toEqual({
      waiting: texts(0),
      suggestions: [],
      opensIn: 30,
    });
  });
});
