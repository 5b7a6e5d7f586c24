// Writes beside the built files which sources they were built from, and which files were built, as `sha256sum` would.
// With it, what packs the server (tools/client_hook.py) knows whether the client is that of these sources, and whole,
// also where there is no Node.
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { Plugin } from 'vite';

/** All of these folders and, of the folder above them, files that end so. tools/client_hook.py looks at the same. */
const FOLDERS = ['public', 'scripts', 'src'];
const SUFFIXES = /\.(html|js|json|ts)$/;

async function sources(root: string): Promise<string[]> {
  const top = (await readdir(root, { withFileTypes: true })).filter(
    (entry) => entry.isFile() && SUFFIXES.test(entry.name),
  );
  const below = await Promise.all(
    FOLDERS.map((folder) => readdir(join(root, folder), { recursive: true, withFileTypes: true })),
  );
  return [...top, ...below.flat().filter((entry) => entry.isFile())]
    .filter((entry) => !entry.name.startsWith('.')) // what editors and systems leave
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

async function built(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

async function hashes(root: string, paths: string[]): Promise<string> {
  const lines = paths.map(async (path) => {
    const hash = createHash('sha256').update(await readFile(join(root, path)));
    return `${hash.digest('hex')}  ${path}\n`;
  });
  return (await Promise.all(lines)).join('');
}

export function recordSources(): Plugin {
  let root = '';
  let folder = '';
  return {
    name: 'record-sources',
    apply: 'build',
    configResolved(config) {
      root = config.root;
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      order: 'post',
      sequential: true, // when the files are compressed, too
      async handler() {
        await writeFile(join(folder, '.built'), await hashes(folder, await built(folder)));
        await writeFile(join(folder, '.sources'), await hashes(root, await sources(root)));
      },
    },
  };
}
