import { sleep } from '../../runtime/deadline.js';
import { assert, suite } from '../suite.js';
import { allGone, StubDataCenter } from './stub-data-center.js';

const UP = 'logs of the nodes follow';
const WHOLE = { application: {}, cnn: {}, math: {}, storage: { instances: 2 } };

suite('interruptions', (test) => {
  test(
    'Ctrl-C at down ends the waiting; the stop goes on, and commands say that there is one',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: { behaviour: 'deaf' } });
      const up = dataCenter.start('up');
      await up.said(UP);
      const down = dataCenter.start('down');
      await down.said('stopping the data center');
      while ((await dataCenter.record()).phase !== 'stopping') await sleep(5);
      const status = await dataCenter.run('status');
      assert.is(status.code, 5);
      assert.match(status.stderr, /^error: the data center in .* is being stopped \(pid \d+\)/);
      down.process.kill('SIGINT');
      const { code, stderr } = await down.ended;
      assert.is(code, 130);
      assert.match(stderr, /it goes on stopping in the background/);
      assert.match((await up.ended).stderr, /everything is stopped/);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'Ctrl-C before down has asked the launcher to stop ends it at once, and the data center goes on',
    async () => {
      await using dataCenter = await StubDataCenter.create({ math: { behaviour: 'deaf' } });
      const up = dataCenter.start('up');
      await up.said(UP);
      const node = dataCenter.start('node', 'math');
      await node.said('the log of the node follows');
      const down = dataCenter.start('down');
      await node.said('stub is deaf');
      down.process.kill('SIGINT');
      const { code, stderr } = await down.ended;
      assert.is(code, 130);
      assert.not.match(stderr, /in the background/);
      assert.is((await dataCenter.record()).phase, 'serving');
      assert.is(up.process.exitCode, null);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'Ctrl-C during the start of a launcher in the background stops it, and by which signal is no news',
    async () => {
      await using dataCenter = await StubDataCenter.create({
        math: {},
        storage: { behaviour: 'lost' },
      });
      const up = dataCenter.start('up', '--detach');
      await up.said('math-1');
      up.process.kill('SIGINT');
      const { code, stderr } = await up.ended;
      assert.is(code, 130);
      assert.match(stderr, /stopped: nothing of it runs any more/);
      assert.not.match(stderr, /SIGTERM/);
      assert.is((await dataCenter.run('status')).code, 5);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'Ctrl-C during the start of a launcher in the background that dies of something else says so',
    async () => {
      await using dataCenter = await StubDataCenter.create({
        math: { behaviour: 'deaf' },
        storage: { behaviour: 'lost' },
      });
      const up = dataCenter.start('up', '--detach');
      await up.said('math-1');
      up.process.kill('SIGINT');
      while ((await dataCenter.record()).phase !== 'stopping') await sleep(5);
      process.kill((await dataCenter.record()).launcher.pid, 'SIGKILL');
      const { code, stderr } = await up.ended;
      assert.is(code, 1);
      assert.match(stderr, /the launcher in the background ended \(SIGKILL\)/);
      assert.not.match(stderr, /nothing of it runs/);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'a second Ctrl-C ends everything at once',
    async ({ signal }) => {
      await using dataCenter = await StubDataCenter.create({ math: { behaviour: 'deaf' } });
      const up = dataCenter.start('up');
      await up.said(UP);
      const { processes } = await dataCenter.record();
      up.process.kill('SIGINT');
      await up.said('stub is deaf');
      const startMs = performance.now();
      up.process.kill('SIGINT');
      const { code, stderr } = await up.ended;
      assert.is(code, 130);
      assert.match(stderr, /ended at once; the next .*up or down tidies up/);
      assert.ok(performance.now() - startMs < 2000);
      await allGone(processes, signal);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'Ctrl-C during the start stops what has started',
    async () => {
      await using dataCenter = await StubDataCenter.create(WHOLE);
      const up = dataCenter.start('up');
      await up.said('embedded is up');
      up.process.kill('SIGINT');
      assert.is((await up.ended).code, 130);
      assert.is((await dataCenter.run('status')).code, 5);
    },
    { timeoutMs: 30_000 },
  );
});
