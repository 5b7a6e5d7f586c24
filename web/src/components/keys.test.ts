import { describe, expect, it } from 'vitest';
import { isOfInputMethod } from './keys';

describe('a key', () => {
  it.each([
    ['of its own', false, 13, false],
    ['in a composition', true, 13, true],
    ['in a composition, as Chrome and Firefox say it', true, 229, true],
    ['after a composition, as Safari says it', false, 229, true],
  ])('%s', (_, isComposing, number, expected) => {
    const event = { isComposing, ['keyCode' as string]: number } as unknown as KeyboardEvent;
    expect(isOfInputMethod(event)).toBe(expected);
  });
});
