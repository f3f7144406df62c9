import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { assert, suite } from '../../suite.js';
import { temporaryFolder } from './fixture.js';

const SCRIPT = fileURLToPath(new URL('./prediction-process.js', import.meta.url));

suite('inference', (test) => {
  test('reports to nobody: no log and no queue of events is left behind', async () => {
    await using home = await temporaryFolder();
    const environment = { ...process.env };
    delete environment['ORT_DISABLE_TELEMETRY'];
    const child = spawn(process.execPath, [SCRIPT], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...environment, HOME: home.path, XDG_CACHE_HOME: path.join(home.path, '.cache') },
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.is(code, 0);
    assert.not(existsSync(path.join(os.tmpdir(), `mat-debug-${String(child.pid)}.log`)));
    assert.equal(await readdir(home.path), []);
  });
});
