import { describe, expect, it } from 'vitest';
import { ApiError, dataOf } from './api';

function failureOf(text: string): unknown {
  try {
    return dataOf(text);
  } catch (error) {
    return error instanceof ApiError ? [error.trouble, error.retryAfter] : error;
  }
}

describe('an answer', () => {
  it('that succeeds is its data', () => {
    expect(dataOf('{"success": true, "data": {"username": "CalmOtter1000"}}')).toEqual({
      username: 'CalmOtter1000',
    });
  });

  it.each<[string, string, number | null]>([
    [
      '{"success": false, "message": "Slow", "code": "rate_limited", "retryAfter": 2}',
      'rate_limited',
      2,
    ],
    ['{"success": false, "message": "New", "code": "something_new"}', 'something_new', null],
    ['{"message": "no code"}', 'unexpected', null],
    ['{"code": 7}', 'unexpected', null],
    ['"text"', 'unexpected', null],
    ['null', 'unexpected', null],
    ['<html>502 Bad Gateway</html>', 'unexpected', null],
    ['', 'unexpected', null],
  ])('%s: %s, wait %j', (text, trouble, retryAfter) => {
    expect(failureOf(text)).toEqual([trouble, retryAfter]);
  });
});
