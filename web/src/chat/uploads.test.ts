import { describe, expect, it } from 'vitest';
import { worthRetrying } from './attachments';
import * as given from './samples';
import {
  attached,
  emitted,
  established,
  event,
  fileInfo,
  LIMITS,
  linesOf,
  run,
  talking,
} from './samples';
import { initial, save, type Effect, type Input, type State } from './state';
import type { Trouble } from './trouble';

const SEND: Input = { type: 'sendAttachments' };
const DOWN: Input = { type: 'down', retrying: true };
const AT = '2026-01-02T03:04:05.000Z';

function attach(...ids: string[]): Input {
  return { type: 'attach', files: ids.map((id) => attached(id)), now: false };
}

function uploaded(id: string): Input {
  return { type: 'uploaded', id, file: fileInfo(), at: AT };
}

function failure(id: string, trouble: Trouble, retryAfter: number | null = null): Input {
  return { type: 'uploadFailed', id, trouble, retryAfter };
}

function stages({ attachments }: State): [string, string][] {
  return attachments.items.map(({ id, stage }) => [id, stage.at]);
}

function upload(id: string): Effect {
  return { do: 'upload', id, roomId: given.ROOM.roomId };
}

function discard(...ids: string[]): Effect {
  return { do: 'discard', ids };
}

const uploading = run(talking(), attach('a', 'b'), SEND);

describe('chosen files', () => {
  it('wait for a look at them, and can be taken back', () => {
    const chosen = run(talking(), attach('a', 'b'));
    expect(chosen.effects).toEqual([]);
    expect(stages(chosen.state)).toEqual([
      ['a', 'chosen'],
      ['b', 'chosen'],
    ]);
    const { state, effects } = run(chosen.state, { type: 'removeAttachment', id: 'a' });
    expect(stages(state)).toEqual([['b', 'chosen']]);
    expect(effects).toEqual([discard('a')]);
  });

  it('that the server would refuse have failed already, and are not sent', () => {
    const files = [attached('a', { size: 0 }), attached('b', { size: LIMITS.fileSize + 1 })];
    const { state, effects } = run(talking(), { type: 'attach', files, now: false }, SEND);
    expect(effects).toEqual([]);
    expect(state.attachments.items.map(({ stage }) => stage)).toMatchObject([
      { at: 'failed', trouble: 'file_empty' },
      { at: 'failed', trouble: 'file_too_large' },
    ]);
    const again = run(state, { type: 'retryAttachment', id: 'a' });
    expect(again.effects).toEqual([]);
  });

  it('as large as the server allows are sent', () => {
    const files = [attached('a', { size: LIMITS.fileSize })];
    const { effects } = run(talking(), { type: 'attach', files, now: false }, SEND);
    expect(effects).toEqual([upload('a')]);
  });

  it('are for the server to judge until it has told its limits', () => {
    const files = [attached('a', { size: 10 ** 12 })];
    const { state } = run(
      { ...talking(), limits: null },
      { type: 'attach', files, now: false },
      attach('b', 'c', 'd', 'e'),
    );
    expect(stages(state).map(([, stage]) => stage)).toEqual(Array(5).fill('chosen'));
  });

  it('beyond what a hand can mean are left out, and it is said', () => {
    const { state, effects } = run(talking(), attach('a', 'b', 'c', 'd', 'e'));
    expect(state.attachments.items).toHaveLength(LIMITS.filesPerMessage);
    expect(effects).toEqual([discard('d', 'e')]);
    expect(state.notice).toBe('too_many_files');
  });

  it('come to nothing without a conversation', () => {
    expect(run(given.connected(), attach('a')).effects).toEqual([discard('a')]);
  });
});

describe('sent files', () => {
  it('are uploaded one after the other, and become messages', () => {
    expect(uploading.effects).toEqual([upload('a')]);
    expect(stages(uploading.state)).toEqual([
      ['a', 'uploading'],
      ['b', 'waiting'],
    ]);
    const { state, effects } = run(uploading.state, uploaded('a'));
    expect(effects).toEqual([
      {
        do: 'emit',
        event: 'chat:message',
        payload: { type: 'file', content: { fileId: 'file_1' }, clientId: 'a' },
      },
      discard('a'),
      upload('b'),
    ]);
    expect(linesOf(state)).toMatchObject([
      { key: 'a', type: 'file', own: true, content: fileInfo() },
    ]);
  });

  it('say how far they are', () => {
    const { state } = run(uploading.state, { type: 'uploadProgress', id: 'a', share: 0.5 });
    expect(state.attachments.items[0]?.stage).toEqual({ at: 'uploading', progress: 0.5 });
  });

  it('that are cancelled become no message, even if the upload had just ended', () => {
    const cancelled = run(uploading.state, { type: 'removeAttachment', id: 'a' });
    expect(cancelled.effects).toEqual([discard('a'), upload('b')]);
    const { state, effects } = run(cancelled.state, uploaded('a'), failure('a', 'unreachable'));
    expect(effects).toEqual([]);
    expect(linesOf(state)).toEqual([]);
  });

  it('that fail let the next one pass, and are sent again when asked', () => {
    const { state, effects } = run(uploading.state, failure('a', 'upload_timeout'));
    expect(effects).toEqual([upload('b')]);
    expect(stages(state)).toEqual([
      ['a', 'failed'],
      ['b', 'uploading'],
    ]);
    const again = run(state, uploaded('b'), { type: 'retryAttachment', id: 'a' });
    expect(again.effects).toEqual([upload('a')]);
  });

  it('that come back as nothing known have failed', () => {
    const { state } = run(uploading.state, { type: 'uploaded', id: 'a', file: {}, at: AT });
    expect(stages(state)[0]).toEqual(['a', 'failed']);
  });

  it.each<Trouble>(['rate_limited', 'unavailable'])('pause after %s, and go on', (trouble) => {
    const { state, effects } = run(uploading.state, failure('a', trouble, 3));
    expect(effects).toEqual([{ do: 'timer', key: 'upload', ms: 3000 }]);
    expect(stages(state)[0]).toEqual(['a', 'waiting']);
    expect(run(state, attach('c'), SEND).effects).toEqual([]);
    expect(run(state, { type: 'timer', key: 'upload' }).effects).toEqual([upload('a')]);
  });

  it('wait for the connection to come back', () => {
    const away = run(uploading.state, DOWN, failure('a', 'unreachable'));
    expect(away.effects).toEqual([]);
    expect(stages(away.state)[0]).toEqual(['a', 'waiting']);
    const { effects } = run(away.state, established(true), event('room:resumed', given.resumed()));
    expect(effects).toEqual([upload('a')]);
  });

  it('with the connection there have failed', () => {
    expect(stages(run(uploading.state, failure('a', 'unreachable')).state)[0]).toEqual([
      'a',
      'failed',
    ]);
  });
});

describe('a voice note', () => {
  const file = attached('v', { kind: 'voice', duration: 2, waveform: [1, 2] });
  const spoken = run(talking(), { type: 'attach', files: [file], now: true });

  it('goes at once, past files that are still being looked at', () => {
    expect(spoken.effects).toEqual([upload('v')]);
    const beside = run(talking(), attach('a'), { type: 'attach', files: [file], now: true });
    expect(beside.effects).toEqual([upload('v')]);
    expect(stages(beside.state)[0]).toEqual(['a', 'chosen']);
  });

  it('brings its waveform', () => {
    const { effects } = run(spoken.state, uploaded('v'));
    const content = { fileId: 'file_1', waveform: [1, 2] };
    expect(emitted(effects)).toEqual([['chat:message', { type: 'voice', content, clientId: 'v' }]]);
  });
});

describe('what is not sent', () => {
  it.each<[string, Input]>([
    [
      'the partner leaves',
      event('room:user_left', { userId: 'guest_them', username: '', message: '' }),
    ],
    ['we leave', { type: 'leave' }],
    ['we go on', { type: 'next' }],
    ['the session expires', { type: 'refused', code: 'token_expired', retryAfter: null }],
    ['the room is gone', established(false)],
  ])('goes when %s', (_, ending) => {
    const { state, effects } = run(uploading.state, ending);
    expect(state.attachments.items).toEqual([]);
    expect(effects).toContainEqual(discard('a', 'b'));
    expect(run(state, uploaded('a')).effects).toEqual([]);
  });

  it('by the server after the upload is sent again after a reload', () => {
    const before = run(uploading.state, uploaded('a'), DOWN).state;
    const saved = JSON.parse(JSON.stringify(save(before))) as ReturnType<typeof save>;
    const fresh = run(initial(), { type: 'boot', saved, online: true }).state;
    expect(fresh.attachments.items).toEqual([]);
    const { effects } = run(fresh, established(true), event('room:resumed', given.resumed()));
    expect(emitted(effects)).toMatchObject([
      ['chat:message', { type: 'file', content: { fileId: 'file_1' }, clientId: 'a' }],
    ]);
  });
});

describe('a replay after a reload', () => {
  it('brings files back with their content', () => {
    const content = { ...fileInfo(), waveform: [3] };
    const message = given.message(1, { type: 'voice', content });
    const { state } = run(talking(), event('chat:message', message));
    expect(linesOf(state)).toMatchObject([{ type: 'voice', content, own: false }]);
  });
});

describe('another try', () => {
  it.each<[Trouble, boolean]>([
    ['upload_timeout', true],
    ['storage_full', true],
    ['unreachable', true],
    ['something_new' as Trouble, true],
    ['file_too_large', false],
    ['too_large', false],
    ['unsupported_type', false],
    ['file_damaged', false],
    ['room_storage_full', false],
  ])('after %s is worth it: %s', (code, worth) => {
    expect(worthRetrying(code)).toBe(worth);
  });
});
