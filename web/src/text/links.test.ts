import { describe, expect, it } from 'vitest';
// What the server must see, too: tests/safety/test_links.py reads the same.
import shared from '../../../tests/safety/links.json';
import { partsOf, type Link } from './links';

function links(text: string): Link[] {
  return partsOf(text).filter((part) => typeof part !== 'string');
}

function whole(text: string): string {
  return partsOf(text)
    .map((part) => (typeof part === 'string' ? part : part.text))
    .join('');
}

describe('the links of a text', () => {
  it.each([
    ['see https://example.com/a?b=1&c=2#d now', ['https://example.com/a?b=1&c=2#d']],
    ['https://example.com.', ['https://example.com']],
    ['(https://example.com/a).', ['https://example.com/a']],
    [
      'https://en.wikipedia.org/wiki/Rust_(video_game)',
      ['https://en.wikipedia.org/wiki/Rust_(video_game)'],
    ],
    [
      '(see https://en.wikipedia.org/wiki/Rust_(video_game))',
      ['https://en.wikipedia.org/wiki/Rust_(video_game)'],
    ],
    ['HTTP://Example.COM/x!', ['HTTP://Example.COM/x']],
    ['“https://example.com/x”', ['https://example.com/x']],
    ['看https://example.com/路径。很好', ['https://example.com/路径']],
    ['two: http://a.example http://b.example', ['http://a.example', 'http://b.example']],
    ['http://[2001:db8::1]:8080/', ['http://[2001:db8::1]:8080/']],
    ['http://example.com/\u202egpj.exe', ['http://example.com/']],
    ['javascript:alert(1) data:text/html,x ftp://a.example mailto:a@b.example www.example.com', []],
    ['http:// https://? http://.', []],
    ['', []],
  ])('%s', (text, expected) => {
    expect(links(text).map((link) => link.text)).toEqual(expected);
    expect(whole(text)).toBe(text);
  });

  it.each([
    ['https://example.com/a', 'example.com', true],
    ['https://EXAMPLE.com', 'example.com', true],
    ['https://example.com:8443/', 'example.com:8443', true],
    ['https://аpple.com/', 'xn--pple-43d.com', false],
    ['https://münchen.example/', 'xn--mnchen-3ya.example', false],
    ['https://bank.example@evil.example/login', 'evil.example', false],
    ['https://evil.example\\@bank.example/', 'evil.example', true],
    ['http://0x7f.1/', '127.0.0.1', false],
    ['https://example.com%2eevil.example', 'example.com.evil.example', false],
  ])('%s leads to %s', (text, host, plain) => {
    expect(links(text)).toMatchObject([{ text, host, plain }]);
  });

  it.each(shared)('of $text lead to $leadsTo', ({ text, leadsTo }) => {
    expect(links(text).map((link) => link.host)).toEqual(leadsTo);
  });

  it('are a hundred at most, and none is longer than 2048 characters', () => {
    const many = 'http://a.example '.repeat(300);
    expect(links(many)).toHaveLength(100);
    expect(whole(many)).toBe(many);
    const long = `http://a.example/${'x'.repeat(2048)}`;
    expect(links(long)).toEqual([]);
    expect(whole(long)).toBe(long);
  });

  it.each([
    ['one run', 'http://'],
    ['brackets', 'http://a.example/)'],
    ['closing brackets', 'http://a.example ))))))))))))'],
    ['full stops', 'http://a.example/.................'],
    ['many', 'http://a.example/ '],
    ['no scheme', 'hhttps:/'],
  ])('take a time that grows with the text alone: %s', (_, unit) => {
    const text = 'https://a.example/' + unit.repeat(Math.ceil(1_000_000 / unit.length));
    const began = performance.now();
    expect(whole(text)).toBe(text);
    // A quadratic one would take minutes.
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
