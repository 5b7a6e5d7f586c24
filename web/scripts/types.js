// Writes src/wire/types.ts from src/wire/schema.json; with --check only says whether it is current.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';
import * as prettier from 'prettier';

const source = fileURLToPath(new URL('../src/wire/schema.json', import.meta.url));
const target = fileURLToPath(new URL('../src/wire/types.ts', import.meta.url));

const schema = JSON.parse(await readFile(source, 'utf8'));
const types = await compile(schema, 'Wire', {
  // The server ignores what it does not know and so do we; an index signature would only hide typos.
  additionalProperties: false,
  bannerComment: '// Made by `npm run types` from schema.json: change the server’s events instead.',
  format: false,
  unreachableDefinitions: true,
});
// Each definition is announced by two lines that say only that it is one.
const plain = types.replace(/\n \*\n \* This interface was referenced by .*\n \* via the .*/g, '');
const text = await prettier.format(plain, {
  ...(await prettier.resolveConfig(target)),
  parser: 'typescript',
});

if (process.argv.includes('--check')) {
  const current = await readFile(target, 'utf8').catch(() => '');
  if (current !== text) {
    console.error('web/src/wire/types.ts is not current: run `npm run types`');
    process.exit(1);
  }
} else {
  await writeFile(target, text);
}
