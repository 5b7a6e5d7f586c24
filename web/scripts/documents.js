// Checks the documents that the server serves: `node scripts/documents.js DIRECTORY`, with openapi.json and asyncapi.json.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Parser } from '@asyncapi/parser';

const directory = process.argv[2] ?? '.';
const WARNING = 1; // Below are errors; above, for example, is that there is a newer version of the specification.
const found = await new Parser().validate(readFileSync(join(directory, 'asyncapi.json'), 'utf8'));
const diagnostics = found.filter(({ severity }) => severity <= WARNING);
for (const { message, path, code } of diagnostics) {
  console.error(`asyncapi.json: ${path.join('.')}: ${message} (${String(code)})`);
}
const redocly = spawnSync(
  'node_modules/.bin/redocly',
  ['lint', '--config', 'redocly.yaml', '--max-problems', '20', join(directory, 'openapi.json')],
  {
    encoding: 'utf8',
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  },
);
const isFine = redocly.status === 0;
if (!isFine) console.error(redocly.stdout, redocly.stderr);
process.exit(diagnostics.length === 0 && isFine ? 0 : 1);
