import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const SOURCES = new URL('..', import.meta.url);

describe('the wall clock', () => {
  // It may be set at any time, by an hour or a day: durations come from `performance.now()` and from events.
  it('measures nothing', () => {
    const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' });
    expect(files).toContain('chat/typing.ts');
    const asking = files
      .filter((name) => /\.(ts|svelte)$/.test(name) && !name.endsWith('.test.ts'))
      .filter((name) =>
        /Date\.now\(\)|\.getTime\(\)/.test(readFileSync(new URL(name, SOURCES), 'utf8')),
      );
    expect(asking).toEqual([]);
  });
});
