import { describe, expect, it } from 'vitest';
import { jpegName, needsReencoding } from './reencode';

const TAKEN = ['image/jpeg', 'image/png'];

describe('a picture that the server does not take', () => {
  it.each([
    ['a.avif', 'image/avif', true],
    ['IMG_1.HEIC', 'image/heic', true],
    ['IMG_1.HEIC', '', true],
    ['a.jpg', 'image/jpeg', false],
    ['a.tiff', 'image/tiff', false],
    ['notes.txt', '', false],
  ])('%s (%s) is drawn anew: %s', (name, mimeType, anew) => {
    expect(needsReencoding({ name, mimeType }, TAKEN)).toBe(anew);
  });

  it('goes as it is where the server takes it', () => {
    expect(needsReencoding({ name: 'a.avif', mimeType: 'image/avif' }, ['image/avif'])).toBe(false);
  });

  it('has the name of what it becomes', () => {
    expect(jpegName('IMG_1.HEIC')).toBe('IMG_1.jpg');
    expect(jpegName('holiday')).toBe('holiday.jpg');
  });
});
