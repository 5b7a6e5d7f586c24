import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

describe('receipts', () => {
  const kept = new Map<string, string>();

  beforeEach(() => {
    kept.clear();
    vi.resetModules();
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('are the last five, each once, until they are removed', async () => {
    const { forgetReceipt, keepReceipt, receipts } = await import('./receipts.svelte');
    for (const receipt of ['a', 'b', 'b', 'c', 'd', 'e', 'f']) keepReceipt(receipt, 'hate');
    expect(receipts().map(({ receipt }) => receipt)).toEqual(['f', 'e', 'd', 'c', 'b']);
    vi.resetModules();
    const reloaded = await import('./receipts.svelte');
    expect(reloaded.receipts()).toEqual(receipts());
    for (const { receipt } of receipts()) forgetReceipt(receipt);
    expect(receipts()).toEqual([]);
    expect(kept.size).toBe(0);
  });

  it.each(['', 'no JSON', '{}', 'null'])('are none in %j', async (text) => {
    kept.set('passerby.receipts', text);
    const { receipts } = await import('./receipts.svelte');
    expect(receipts()).toEqual([]);
  });
});
