import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';
import { residentBytes } from './transfer.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** Targets: everything SERVING in 6 s, an idle node in 150 MB, the CNN node in 300 MB. */
const TARGET = { upSeconds: 6, nodeMb: 150, cnnMb: 300 };
const SETTLE_MS = 3000;

interface Status {
  readonly coordinator: string;
  readonly members: readonly { readonly type: string; readonly pid: number }[];
}

/** `./datacenter up` with three ZooKeeper servers and five nodes, as shares of what it may take. */
export async function measureStartUp(rounds: number): Promise<Finding[]> {
  const seconds: number[] = [];
  const nodeMb: number[] = [];
  const cnnMb: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const statePath = await mkdtemp(path.join(tmpdir(), 'fractory-bench-'));
    try {
      const startedAt = performance.now();
      await datacenter(statePath, 'up', '--detach');
      seconds.push((performance.now() - startedAt) / 1000);
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const status = JSON.parse(await datacenter(statePath, 'status', '--json')) as Status;
      if (status.coordinator !== 'zookeeper') throw new Error('this machine has no ZooKeeper');
      const megabytes = (cnn: boolean): number =>
        Math.max(
          ...status.members
            .filter((member) => (member.type === 'cnn') === cnn)
            .map((member) => residentBytes(member.pid) / 1e6),
        );
      nodeMb.push(megabytes(false));
      cnnMb.push(megabytes(true));
    } finally {
      await datacenter(statePath, 'down');
      await rm(statePath, { recursive: true, force: true });
    }
  }
  const share = (values: number[], target: number): number[] =>
    values.map((value) => value / target);
  const most = { most: 1 };
  return [
    finding(
      'up_vs_6_seconds',
      ['time of up', '6 s'],
      share(seconds, TARGET.upSeconds),
      { upSeconds: median(seconds) },
      most,
    ),
    finding(
      'idle_node_vs_150_mb',
      ['largest idle node', '150 MB'],
      share(nodeMb, TARGET.nodeMb),
      { nodeMb: median(nodeMb) },
      most,
    ),
    finding(
      'idle_cnn_node_vs_300_mb',
      ['idle CNN node', '300 MB'],
      share(cnnMb, TARGET.cnnMb),
      { cnnMb: median(cnnMb) },
      most,
    ),
  ];
}

/** Runs the launcher with a state folder of its own; resolves with its standard output. */
async function datacenter(statePath: string, ...args: string[]): Promise<string> {
  const child = spawn('bash', [path.join(root, 'datacenter'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FRACTORY_STATE: statePath },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`datacenter ${args.join(' ')} failed: ${errors}`);
  return output;
}
