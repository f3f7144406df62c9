import { readFile } from 'node:fs/promises';
import path from 'node:path';

import type { FaultMeasure, RunTally } from '../../launcher/chaos/measures.js';
import type { ChaosReport, MonkeySummary } from '../../launcher/chaos/report.js';
import { assert, suite } from '../suite.js';
import { LiveDataCenter, Shared } from './live-data-center.js';

interface Trial {
  readonly experiment: string;
  readonly faults: readonly FaultMeasure[];
  readonly runs: RunTally;
}

const SESSION_TIMEOUT_MS = 2000;
const timeoutMs = 90_000;
const shared = new Shared(() =>
  LiveDataCenter.up({
    FRACTORY_ZOOKEEPER_SERVERS: '1',
    FRACTORY_ZOOKEEPER_SESSION_TIMEOUT_MS: String(SESSION_TIMEOUT_MS),
  }),
);

suite('./datacenter chaos', (test) => {
  test(
    'kills the leader and tells when it was noticed, replaced, and when a run succeeded again',
    async () => {
      const dataCenter = await shared.get();
      const before = await dataCenter.leader('storage');
      const { faults, runs } = await dataCenter.json<Trial>('chaos', 'kill', 'leader:storage');
      const [fault] = faults;
      assert.ok(fault);
      assert.equal([fault.target, fault.leader], [before.id, true]);
      const { noticedMs = Number.NaN, newLeader, nextRunMs = Number.NaN, backMs } = fault;
      assert.ok(noticedMs <= SESSION_TIMEOUT_MS + 500, `noticed after ${String(noticedMs)} ms`);
      assert.ok(newLeader !== undefined, 'nobody led');
      assert.ok(nextRunMs > 0, 'no run succeeded afterwards');
      assert.ok(backMs !== undefined, 'it did not come back');
      const { succeeded, lost, doubled, wrong, failed } = runs;
      assert.ok(succeeded > 10, `${String(succeeded)} runs`);
      assert.equal({ lost, doubled, wrong, failed }, { lost: 0, doubled: 0, wrong: 0, failed: 0 });
    },
    { timeoutMs },
  );

  test(
    'what it has done stays until heal undoes it',
    async () => {
      const dataCenter = await shared.get();
      await dataCenter.ok('chaos', 'fill-disk', 'leader:storage', '--no-load');
      const { id } = await dataCenter.leader('storage');
      const refused = await dataCenter.run('run', 'shift-left', '--n', '5', '--m', '3');
      assert.match(refused.stderr, /disk is full/);
      const { healed } = await dataCenter.json<{ healed: readonly object[] }>('chaos', 'heal');
      assert.equal(healed, [{ member: id, fault: 'fill-disk' }]);
      await dataCenter.ok('run', 'shift-left', '--n', '5', '--m', '3');
    },
    { timeoutMs },
  );

  test(
    'lets a monkey loose, and no run is lost, doubled or wrong',
    async () => {
      const dataCenter = await shared.get();
      const monkey = ['chaos', 'monkey', '--for', '4s', '--every', '500ms', '--seed', '11'];
      const summary = await dataCenter.json<MonkeySummary>(...monkey);
      const { runs, succeeded, failed, lost, doubled, wrong, failoverMs } = summary;
      assert.equal({ lost, doubled, wrong }, { lost: 0, doubled: 0, wrong: 0 });
      assert.ok(succeeded > 20, `${String(succeeded)} runs`);
      assert.is(runs, succeeded + failed);
      assert.ok('p50' in failoverMs && 'p99' in failoverMs);
    },
    { timeoutMs },
  );

  test(
    'reports the last experiment as table, JSON and picture',
    async () => {
      const dataCenter = await shared.get();
      const picture = path.join(dataCenter.folder, 'chaos.svg');
      const report = await dataCenter.json<ChaosReport>('chaos', 'report', '--svg', picture);
      assert.match(report.experiment, /-monkey$/);
      assert.is(report.seed, 11);
      assert.is(report.complete, true);
      assert.ok(report.faults.length >= 4, `${String(report.faults.length)} faults`);
      const svg = await readFile(picture, 'utf8');
      for (const { target } of report.faults) assert.ok(svg.includes(`>${target}<`), target);
      const { stdout } = await dataCenter.ok('chaos', 'report');
      assert.match(stdout, /NEW LEADER/);
    },
    { timeoutMs },
  );

  test(
    'refuses what is not there with a line that helps',
    async () => {
      const dataCenter = await shared.get();
      const unknown = await dataCenter.run('chaos', 'kill', 'storage-9');
      assert.is(unknown.code, 3);
      assert.match(unknown.stderr, /did you mean storage-/);
      const links = await dataCenter.run('chaos', 'partition', 'math-1', '--no-load');
      assert.is(links.code, 1);
      assert.match(links.stderr, /up --namespaces/);
      await shared.close();
    },
    { timeoutMs },
  );
});
