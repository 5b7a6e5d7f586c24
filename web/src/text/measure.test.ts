import { describe, expect, it } from 'vitest';
import { clockText, extensionOf, sizeText } from './measure';

describe('sizeText', () => {
  it.each([
    [0, '0 bytes'],
    [1, '1 byte'],
    [1023, '1023 bytes'],
    [1024, '1 KB'],
    [1536, '1.5 KB'],
    [10_000, '9.8 KB'],
    [20_000, '20 KB'],
    [1024 * 1024 - 1, '1 MB'],
    [10 * 1024 * 1024, '10 MB'],
    [5 * 1024 ** 4, '5120 GB'],
  ])('%d is %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });
});

describe('clockText', () => {
  it.each([
    [0, '0:00'],
    [7.9, '0:07'],
    [61, '1:01'],
    [300, '5:00'],
    [3723, '1:02:03'],
    [-1, '0:00'],
    [NaN, '0:00'],
    [Infinity, '0:00'],
  ])('%d is %s', (seconds, text) => {
    expect(clockText(seconds)).toBe(text);
  });
});

describe('extensionOf', () => {
  it.each([
    ['report.pdf', 'PDF'],
    ['archive.tar.gz', 'GZ'],
    ['.bashrc', ''],
    ['README', ''],
    ['a. b', ''],
    ['notes.somethinglong', ''],
  ])('of %s is “%s”', (name, extension) => {
    expect(extensionOf(name)).toBe(extension);
  });
});
