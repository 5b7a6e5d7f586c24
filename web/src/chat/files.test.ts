import { describe, expect, it } from 'vitest';
import { fitted, plainName, readFile, reference } from './files';
import { fileInfo } from './samples';

describe('a file in a message', () => {
  it('is read', () => {
    expect(readFile(fileInfo({ width: 640, height: 480, duration: 1.5 }))).toEqual({
      id: 'file_1',
      name: 'garden.png',
      kind: 'image',
      mimeType: 'image/png',
      size: 1234,
      url: '/api/temp-files/temp/file_1?expires=1&signature=x',
      downloadUrl: '/api/temp-files/download/file_1?expires=1&signature=x',
      duration: 1.5,
      pixels: { width: 640, height: 480 },
      waveform: [],
    });
  });

  it.each([null, undefined, 'text', 7, {}, { fileId: 7 }, { fileId: '' }])(
    'is none if the content is %j',
    (content) => {
      expect(readFile(content)).toBeNull();
    },
  );

  it('of garbage is a document without a link', () => {
    const garbage = {
      fileId: 'x',
      filename: 5,
      fileTypeCategory: 'program',
      fileSize: -1,
      width: 'a',
    };
    expect(readFile(garbage)).toMatchObject({
      name: '',
      kind: 'document',
      size: 0,
      url: null,
      downloadUrl: null,
      duration: null,
      pixels: null,
    });
  });

  it.each([
    'https://elsewhere.example/api/temp-files/x',
    '//elsewhere.example/api/temp-files/x',
    'javascript:alert(1)',
    '/api/guest/me',
    '/api/temp-files/../guest/me',
    '/api/temp-files/%2e%2e/guest/me',
    '/api/temp-files\\..\\guest',
    '/api/temp-files/..\\guest',
    7,
    null,
  ])('is never loaded from %s', (url) => {
    const file = readFile(fileInfo({ tempUrl: url, fileUrl: url, downloadUrl: url } as never));
    expect(file).toMatchObject({ url: null, downloadUrl: null });
  });

  it('is told to the server by what it does not know yet', () => {
    expect(reference(fileInfo())).toEqual({ fileId: 'file_1' });
    expect(reference({ ...fileInfo(), waveform: [1] })).toEqual({
      fileId: 'file_1',
      waveform: [1],
    });
  });
});

describe('a name', () => {
  it('cannot turn the direction of writing, nor hold what is not to be seen', () => {
    expect(plainName('invoice\u202efdp.exe')).toBe('invoicefdp.exe');
    expect(plainName(' a\u0000b\nc.txt ')).toBe('abc.txt');
    expect(plainName('naïve 🌙 שלום.pdf')).toBe('naïve 🌙 שלום.pdf');
  });

  it('is never cut through a character, which could not be sent', () => {
    expect(() => encodeURIComponent(plainName(`${'x'.repeat(254)}🌙`))).not.toThrow();
  });
});

describe('a picture', () => {
  it('is shrunk to fit and never enlarged', () => {
    expect(fitted({ width: 1000, height: 500 }, 320)).toEqual({ width: 320, height: 160 });
    expect(fitted({ width: 500, height: 1000 }, 320)).toEqual({ width: 160, height: 320 });
    expect(fitted({ width: 20, height: 10 }, 320)).toEqual({ width: 20, height: 10 });
  });
});
