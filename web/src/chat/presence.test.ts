import { describe, expect, it } from 'vitest';
import { partnerState } from './presence';
import { connected, established, event, message, resumed, run, talking } from './samples';
import { connectionOf, credentials, initial, save, type Input } from './state';

const ABOUT = { userId: 'guest_them', username: '' };
const AWAY = event('room:partner_away', { ...ABOUT, message: '', grace: 20 });
const BACK = event('room:partner_back', { ...ABOUT, message: '' });
const RELOADED = event('room:partner_back', { ...ABOUT, message: '', reloaded: true });
const TYPES = event('chat:typing:start', ABOUT);
const DOWN: Input = { type: 'down', retrying: true };
const OFFLINE: Input = { type: 'online', online: false };
const STATS = event('user:match:cancelled', { message: '' });

describe('the line under the name', () => {
  it.each<[string, Input[], ReturnType<typeof partnerState>]>([
    ['is there', [], 'here'],
    ['types', [TYPES], 'typing'],
    ['lost the connection', [TYPES, AWAY], 'away'],
    ['is back', [AWAY, BACK], 'here'],
    ['loaded the page anew', [AWAY, RELOADED], 'reloaded'],
    ['did so, too fast to be missed', [RELOADED], 'reloaded'],
    ['did so, and types', [AWAY, RELOADED, TYPES], 'typing'],
    ['did so, and wrote', [AWAY, RELOADED, event('chat:message', message(1))], 'here'],
    ['did so a while ago', [AWAY, RELOADED, { type: 'timer', key: 'reloaded' }], 'here'],
    ['may do anything while we are not connected', [TYPES, DOWN], 'unknown'],
    ['may do anything while we are offline', [OFFLINE], 'unknown'],
    ['went', [event('room:user_left', { ...ABOUT, message: '' })], 'gone'],
  ])('says what they do who %s', (_, inputs, expected) => {
    expect(partnerState(run(talking(), ...inputs).state, 'idle')).toBe(expected);
  });

  it('says that they are in a call as long as it flows, whatever the server knows', () => {
    for (const inputs of [[], [AWAY], [DOWN], [OFFLINE]])
      expect(partnerState(run(talking(), ...inputs).state, 'active')).toBe('inCall');
    expect(partnerState(run(talking(), TYPES).state, 'active')).toBe('typing');
    expect(partnerState(run(talking(), RELOADED).state, 'active')).toBe('reloaded');
    expect(partnerState(run(talking(), AWAY).state, 'recovering')).toBe('away');
    expect(partnerState(connected(), 'idle')).toBeNull();
  });
});

describe('a page that is loaded anew', () => {
  it('says so once', () => {
    const saved = save(talking());
    const { state } = run(initial(), { type: 'boot', saved, online: true });
    expect(credentials(state).resume?.reloaded).toBe(true);
    const back = run(state, established(true), event('room:resumed', resumed())).state;
    expect(credentials(back).resume).not.toHaveProperty('reloaded');
  });
});

describe('the own connection', () => {
  it('is offline at once, and no longer than until the server is heard', () => {
    const offline = run(talking(), OFFLINE).state;
    expect(offline.link).toBe('connected');
    expect(connectionOf(offline)).toBe('offline');
    expect(connectionOf(run(offline, STATS).state)).toBe('connected');
    expect(connectionOf(run(offline, DOWN, established(true)).state)).toBe('connected');
  });
});
