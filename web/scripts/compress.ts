// Writes a .br and a .gz beside each built file that they make smaller. The server only chooses among them.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Plugin } from 'vite';

/** What is not listed is compressed already: pictures, fonts, sound. */
const TEXT = new Set(['.css', '.html', '.js', '.json', '.svg', '.txt', '.webmanifest']);

const brotlied = promisify(brotliCompress);
const gzipped = promisify(gzip);

/** How to compress, by the suffix of the result. */
const FORMS: Record<string, (bytes: Buffer) => Promise<Buffer>> = {
  '.br': (bytes) =>
    brotlied(bytes, {
      params: {
        [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  '.gz': (bytes) => gzipped(bytes, { level: constants.Z_BEST_COMPRESSION }),
};

async function compressFile(path: string): Promise<void> {
  const bytes = await readFile(path);
  for (const [suffix, compressed] of Object.entries(FORMS)) {
    const form = await compressed(bytes);
    if (form.length < bytes.length) await writeFile(path + suffix, form);
  }
}

export function compress(): Plugin {
  let folder = '';
  return {
    name: 'compress',
    apply: 'build',
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    // The last hook of a build: the files of public/ are there too.
    async closeBundle() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const texts = entries.filter((entry) => entry.isFile() && TEXT.has(extname(entry.name)));
      await Promise.all(texts.map((entry) => compressFile(join(entry.parentPath, entry.name))));
    },
  };
}
