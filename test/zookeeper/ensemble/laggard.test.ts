import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { assert, suite } from '../../suite.js';
import { ensembleIn, whyNoZooKeeper } from '../ensemble-fixture.js';

const skip = await whyNoZooKeeper();

suite('an ensemble with a server that is slow to come', (test) => {
  test(
    'is ready when a quorum has waited long enough, and the server comes when it can',
    async ({ signal }) => {
      const root = await mkdtemp(path.join(tmpdir(), 'fractory-laggard-'));
      const ensemble = await ensembleIn(root, { servers: 3 });
      try {
        await ensemble.spawn();
        const pid = ensemble.servers[0]?.pid ?? 0;
        process.kill(pid, 'SIGSTOP');
        await ensemble.ready(signal, { laggardMs: 0 });
        const [first, ...others] = await ensemble.refresh();
        assert.is(first?.mode, 'none');
        assert.equal(others.map(({ mode }) => mode).sort(), ['follower', 'leader']);
        process.kill(pid, 'SIGCONT');
        await ensemble.ready(signal);
        assert.is((await ensemble.refresh())[0]?.mode, 'follower');
      } finally {
        await ensemble.stop();
        await rm(root, { recursive: true, force: true });
      }
    },
    { timeoutMs: 60_000, skip },
  );
});
