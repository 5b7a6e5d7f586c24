import { describe, expect, it } from 'vitest';
import { extensionOf } from './extension';

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
