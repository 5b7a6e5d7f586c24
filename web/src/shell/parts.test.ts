import { describe, expect, it } from 'vitest';
import { part } from './parts';

function failing(times: number): () => Promise<string> {
  let tries = 0;
  return () => {
    tries += 1;
    return tries > times ? Promise.resolve('the part') : Promise.reject(new TypeError('offline'));
  };
}

describe('a part of the page', () => {
  it('is asked for again', async () => {
    await expect(part(failing(2), [0, 0])).resolves.toBe('the part');
  });

  it('is given up in the end', async () => {
    await expect(part(failing(3), [0, 0])).rejects.toThrow('offline');
  });
});
