import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { projectRoot } from '../../../config/paths.js';
import { sleep } from '../../../runtime/deadline.js';
import { assert, suite } from '../../suite.js';

suite('a fuzz campaign that is interrupted', (test) => {
  test(
    'says so, ends with 130 and leaves nothing of its data center',
    async ({ signal }) => {
      const scratch = await mkdtemp(path.join(tmpdir(), 'fractory-interrupted-'));
      const temporary = path.join(scratch, 'tmp');
      await mkdir(temporary);
      const main = path.join(projectRoot, 'dist/bench/fuzz/main.js');
      const child = spawn(process.execPath, [main, '--for', '1m'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, TMPDIR: temporary, FRACTORY_STATE: path.join(scratch, 'state') },
        signal,
      });
      let said = '';
      child.stderr.on('data', (data: Buffer) => {
        said += data.toString();
      });
      const made = async (): Promise<boolean> => {
        const [folder] = await readdir(temporary);
        return folder !== undefined && (await readdir(path.join(temporary, folder))).length > 1;
      };
      while (!(await made())) await sleep(20, signal);
      child.kill('SIGINT');
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.is(code, 130, said);
      assert.match(
        said,
        /stopping the data center; its folder goes with it\nstopped before the end/,
      );
      assert.equal(await readdir(temporary), []);
      await rm(scratch, { recursive: true });
    },
    { timeoutMs: 30_000 },
  );
});
