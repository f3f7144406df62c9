import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { silentLogger } from '../runtime/logger.js';
import { leaderOf } from '../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../zookeeper/coordinator.js';
import { createCoordinator } from '../zookeeper/create.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const START_MS = 10_000;

/** A data center as `./datacenter up --detach` starts it, in a state folder of its own, with a watched list of its members. */
export class StartedDataCenter implements AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly #statePath: string;
  readonly #settings: NodeJS.ProcessEnv;

  private constructor(statePath: string, settings: NodeJS.ProcessEnv, coordinator: Coordinator) {
    this.#statePath = statePath;
    this.#settings = settings;
    this.coordinator = coordinator;
  }

  /** @param settings FRACTORY_SECTION_KEY variables */
  static async up(settings: NodeJS.ProcessEnv, sessionTimeoutMs: number) {
    const statePath = await mkdtemp(path.join(tmpdir(), 'fractory-bench-'));
    try {
      await datacenter(statePath, settings, 'up', '--detach');
      const run = JSON.parse(await readFile(path.join(statePath, 'run.json'), 'utf8')) as {
        readonly coordinator: string;
        readonly dataCenter: string;
      };
      const [kind = '', connect = ''] = run.coordinator.split('://');
      const coordinator = createCoordinator({
        config: { kind: kind === 'embedded' ? 'embedded' : 'zookeeper', connect, sessionTimeoutMs },
        dataCenter: run.dataCenter,
        secret: (await readFile(path.join(statePath, 'secret'), 'utf8')).trim(),
        log: silentLogger(),
      });
      await coordinator.start(START_MS);
      return new StartedDataCenter(statePath, settings, coordinator);
    } catch (error) {
      await down(statePath, settings);
      throw error;
    }
  }

  members(type: string): readonly Member[] {
    return this.coordinator.members().filter((member) => member.type === type);
  }

  leader(type: string): Member {
    const leader = leaderOf(this.coordinator.members(), type);
    if (!leader) throw new Error(`no ${type} node leads`);
    return leader;
  }

  /** Resolves as soon as the members are as wanted. */
  membersWhen(wanted: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!wanted()) return;
        stop();
        resolve();
      };
      const stop = this.coordinator.onMembers(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.coordinator.close();
    await down(this.#statePath, this.#settings);
  }
}

async function down(statePath: string, settings: NodeJS.ProcessEnv): Promise<void> {
  await datacenter(statePath, settings, 'down');
  await rm(statePath, { recursive: true, force: true });
}

async function datacenter(
  statePath: string,
  settings: NodeJS.ProcessEnv,
  ...args: string[]
): Promise<void> {
  const child = spawn('bash', [path.join(root, 'datacenter'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...settings, FRACTORY_STATE: statePath },
  });
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`datacenter ${args.join(' ')} failed: ${errors}`);
}
