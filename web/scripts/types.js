// Writes src/wire/types.ts and rules.ts from src/wire/schema.json; with --check only says whether they are current.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';
import * as prettier from 'prettier';

const BANNER = '// Made by `npm run types` from schema.json: change the server’s events instead.';

function pathOf(name) {
  return fileURLToPath(new URL(`../src/wire/${name}`, import.meta.url));
}

async function typesOf(schema) {
  const types = await compile(schema, 'Wire', {
    // The server ignores what it does not know and so do we; an index signature would only hide typos.
    additionalProperties: false,
    bannerComment: BANNER,
    format: false,
    unreachableDefinitions: true,
  });
  // Each definition is announced by two lines that say only that it is one.
  return types.replace(/\n \*\n \* This interface was referenced by .*\n \* via the .*/g, '');
}

/** What a name may be is asked before there is a connection that could tell. */
function rulesOf(schema) {
  const choices = schema.$defs.NewGuest.properties.username.anyOf;
  const { minLength, maxLength, pattern } = choices.find(({ type }) => type === 'string');
  return [
    BANNER,
    `export const USERNAME_MIN = ${minLength};`,
    `export const USERNAME_MAX = ${maxLength};`,
    `export const USERNAME_CHARACTERS = /${pattern}/;`,
  ].join('\n');
}

async function formatted(path, text) {
  const options = await prettier.resolveConfig(path);
  return prettier.format(text, { ...options, parser: 'typescript' });
}

const schema = JSON.parse(await readFile(pathOf('schema.json'), 'utf8'));
for (const [name, text] of [
  ['types.ts', await typesOf(schema)],
  ['rules.ts', rulesOf(schema)],
]) {
  const path = pathOf(name);
  const wanted = await formatted(path, text);
  if (!process.argv.includes('--check')) {
    await writeFile(path, wanted);
  } else if ((await readFile(path, 'utf8').catch(() => '')) !== wanted) {
    console.error(`web/src/wire/${name} is not current: run \`npm run types\``);
    process.exitCode = 1;
  }
}
