import { once } from 'node:events';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { limitsSection } from '../config/limits.js';
import type { CoordinatorConfig } from '../config/node-config.js';
import type { Device, DeviceContext, KernelAccess } from '../controllers/kernel/device.js';
import { FractoryNode } from '../controllers/kernel/node.js';
import { makeApplicationDevice } from '../controllers/application/device.js';
import { silentLogger } from '../runtime/logger.js';
import type { Member } from '../zookeeper/coordinator.js';
import { createCoordinator } from '../zookeeper/create.js';
import { EmbeddedCoordinator } from '../zookeeper/embedded/server.js';

const NAME = 'bench';
const SECRET = 'bench';
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * A data center for measures: the coordinator and an application node in this process, every other node in its own, as in real life.
 */
export class SmallDataCenter implements AsyncDisposable {
  /** The kernel of the application node: runs can be started without a client in between. */
  readonly kernel: KernelAccess;
  /** host:port of the application node. */
  readonly address: string;
  readonly #children: readonly ChildProcess[];
  readonly #undo: (() => Promise<unknown>)[];

  private constructor(
    kernel: KernelAccess,
    address: string,
    children: readonly ChildProcess[],
    undo: (() => Promise<unknown>)[],
  ) {
    this.kernel = kernel;
    this.address = address;
    this.#children = children;
    this.#undo = undo;
  }

  /** `members`: device types by member name. `settings`: lines for the section of a type. */
  static async start(
    members: Readonly<Record<string, string>>,
    settings: Readonly<Record<string, readonly string[]>> = {},
  ): Promise<SmallDataCenter> {
    const statePath = await mkdtemp(path.join(tmpdir(), 'fractory-bench-'));
    const log = silentLogger();
    const server = new EmbeddedCoordinator({
      ...{ host: '127.0.0.1', dataCenter: NAME, secret: SECRET, log },
    });
    await server.start();
    const coordinator: CoordinatorConfig = {
      ...{ kind: 'embedded', connect: server.address, sessionTimeoutMs: 10_000 },
    };
    const config = path.join(statePath, 'data_center.ini');
    await writeFile(config, iniFor(statePath, Object.values(members), settings));
    const children = Object.entries(members).map(([name, type]) =>
      startNode(name, type, config, statePath, server.address),
    );
    const { node, kernel } = await startApplication(statePath, coordinator);
    await present(kernel, Object.keys(members));
    return new SmallDataCenter(kernel, node.address, children, [
      () => node.stop(),
      () => Promise.all(children.map(endOf)),
      () => server.stop(),
      () => rm(statePath, { recursive: true, force: true }),
    ]);
  }

  /** Resident memory of each node process, bytes. */
  get pids(): readonly number[] {
    return this.#children.map((child) => child.pid ?? 0);
  }

  /** Throws where there is no member of that name. */
  member(name: string): Member {
    const member = this.kernel.members().find(({ id }) => id === name);
    if (!member) throw new Error(`there is no member ${name}`);
    return member;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo) await undo();
  }
}

function iniFor(
  statePath: string,
  types: readonly string[],
  settings: Readonly<Record<string, readonly string[]>>,
): string {
  const unique = [...new Set(types)];
  return [
    '[DataCenter]',
    `name = ${NAME}`,
    `storage_path = ${path.join(statePath, 'storage')}`,
    '[Controllers]',
    `controller_names = ${unique.map((type) => `${type}_controller`).join(', ')}`,
    ...unique.flatMap((type) => [
      `[${type}_controller]`,
      `paths_to_controller = controllers/${type}/main.ts`,
      `routing = ${type === 'storage' ? 'leader' : 'any'}`,
      ...(settings[type] ?? []),
    ]),
  ].join('\n');
}

function startNode(
  name: string,
  type: string,
  config: string,
  statePath: string,
  coordinator: string,
): ChildProcess {
  const script = path.join(root, 'dist', 'controllers', type, 'main.js');
  return spawn(process.execPath, [script, '--config', config, '--name', name, '--type', type], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: {
      ...process.env,
      FRACTORY_STATE: statePath,
      FRACTORY_COORDINATOR: `embedded://${coordinator}`,
      FRACTORY_SECRET: SECRET,
      FRACTORY_SUPERVISED: '1',
    },
  });
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.stdin?.end();
  await ended;
}

async function startApplication(
  statePath: string,
  coordinator: CoordinatorConfig,
): Promise<{ node: FractoryNode<object>; kernel: KernelAccess }> {
  let kernel: KernelAccess | undefined;
  const makeDevice = (context: DeviceContext<unknown>): Promise<Device> => {
    kernel = context.kernel;
    return makeApplicationDevice(context);
  };
  const log = silentLogger();
  const node = new FractoryNode(
    {
      ...{ root, statePath, coordinator, secret: SECRET, supervised: false, settings: {} },
      dataCenter: { name: NAME, grpcIp: '127.0.0.1', storagePath: path.join(statePath, 'storage') },
      security: { mode: 'open' },
      limits: limitsSection.parse({}),
      telemetry: {},
      node: {
        name: 'application-1',
        type: 'application',
        routing: 'leader',
        verbose: false,
        port: 0,
      },
    },
    makeDevice,
    {
      coordinator: createCoordinator({
        config: coordinator,
        dataCenter: NAME,
        secret: SECRET,
        log,
      }),
      log,
    },
  );
  await node.start();
  if (!kernel) throw new Error('the application node made no device');
  return { node, kernel };
}

/** Resolves when all these members are registered. */
async function present(kernel: KernelAccess, names: readonly string[]): Promise<void> {
  const untilMs = performance.now() + 30_000;
  while (!names.every((name) => kernel.members().some((member) => member.id === name))) {
    if (performance.now() > untilMs) throw new Error(`not all of ${names.join(', ')} registered`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
