import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { isOnSearchPath } from '../../config/search-path.js';
import { assert, suite } from '../suite.js';

/** Logs, has its files limited to nothing, logs, has the limit lifted, logs. */
const SCRIPT = `
import { execFileSync } from 'node:child_process';
import { createLogger } from ${JSON.stringify(new URL('../../runtime/logger.js', import.meta.url).href)};
const limit = (size) => execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=' + size + ':']);
const log = createLogger();
log.info('before');
limit(0);
log.info('meanwhile');
limit('unlimited');
log.info('after');
`;

suite('a log', (test) => {
  test(
    'that can not be written ends nobody, and is written later',
    async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'fractory-log-'));
      const file = path.join(folder, 'log.txt');
      const descriptor = openSync(file, 'a');
      const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
        stdio: ['ignore', descriptor, 'inherit'],
      });
      closeSync(descriptor);
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.is(code, 0);
      const lines = (await readFile(file, 'utf8')).trim().split('\n');
      await rm(folder, { recursive: true });
      assert.equal(
        lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
        ['before', 'meanwhile', 'after'],
      );
    },
    { skip: !isOnSearchPath('prlimit') && 'there is no prlimit' },
  );
});
