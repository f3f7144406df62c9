import type { ControllerConfig } from '../config/data-center-config.js';
import { withDeadline } from '../runtime/deadline.js';
import { makeFolder } from '../runtime/made-folder.js';
import { Stopper } from '../runtime/stopper.js';
import { describeExit, NodeChild } from './child-process.js';
import { StartFailure } from './data-center-run.js';
import { HandNodes } from './hand-nodes.js';
import { HealthProbe } from './health-probe.js';
import type { Interruption } from './interruption.js';
import { LogFiles } from './log-files.js';
import type { MemberStatus } from './member-status.js';
import { nodeCommand } from './node-commands.js';
import { identify } from './process-identity.js';
import { withCoordinator } from './running-data-center.js';
import type { RunningDataCenter } from './running-data-center.js';
import { allServing } from './serving-watch.js';

export interface HandNodeOptions {
  readonly name: string;
  readonly verbose: boolean;
  readonly interruption: Interruption;
  /** Longest time until it serves, ms. */
  readonly startTimeoutMs: number;
}

const EXTRA_GRACE_MS = 3000;

/** One node that this process holds, in a data center that somebody else started. */
export class HandNodeRun {
  readonly #running: RunningDataCenter;
  readonly #controller: ControllerConfig;
  readonly #options: HandNodeOptions;
  readonly #logs: LogFiles;
  readonly #stopper = new Stopper();
  #death: Promise<never> | undefined;

  constructor(running: RunningDataCenter, controller: ControllerConfig, options: HandNodeOptions) {
    this.#running = running;
    this.#controller = controller;
    this.#options = options;
    this.#logs = new LogFiles(running.config.places.statePath);
  }

  /** Resolves when the node is registered and SERVING; throws a StartFailure if it dies before. */
  async start(): Promise<MemberStatus> {
    const { name, verbose, interruption, startTimeoutMs } = this.#options;
    const { config, coordinator, record } = this.#running;
    await makeFolder(config.places.statePath);
    await this.#leaveFile();
    const node = { name, main: this.#controller.main, port: 0 };
    // In a private network it shares the link of commands: it was started by one.
    const place = record?.network && { address: record.network.driverAddress };
    const parts = { coordinator, logs: this.#logs, verbose, place };
    const child = new NodeChild(await nodeCommand(config, this.#controller, node, parts));
    this.#stopper.add(() => child.stop(config.limits.shutdown_grace_ms + EXTRA_GRACE_MS));
    this.#stopper.add(
      interruption.onForce(() => {
        child.kill();
      }),
    );
    this.#death = this.#failAtExit(child);
    this.#death.catch(() => undefined);
    const serving = withDeadline(
      startTimeoutMs,
      `the start of ${name}`,
      (signal) => this.#serving(child.pid, signal),
      interruption.signal,
    );
    return Promise.race([serving, this.#death]);
  }

  /** Rejects with a StartFailure when the node dies by itself. */
  died(): Promise<never> {
    return this.#death ?? Promise.reject(new Error('start comes first'));
  }

  stop(): Promise<void> {
    return this.#stopper.stop();
  }

  async #leaveFile(): Promise<void> {
    const launcher = await identify(process.pid);
    if (!launcher) throw new Error(`process ${String(process.pid)} can't find itself`);
    const { name } = this.#options;
    const nodes = new HandNodes(this.#running.config.places.statePath);
    await nodes.add({ name, type: this.#controller.type, launcher });
    this.#stopper.add(() => nodes.remove(name));
  }

  async #failAtExit(child: NodeChild): Promise<never> {
    const { name } = this.#options;
    const how = describeExit(await child.exited);
    throw new StartFailure(name, how, await this.#logs.lastLines(name, 12));
  }

  async #serving(pid: number, signal: AbortSignal): Promise<MemberStatus> {
    const { name } = this.#options;
    const probe = new HealthProbe(this.#running.config.security);
    try {
      const statuses = await withCoordinator(this.#running, (coordinator) =>
        allServing({
          ...{ coordinator, probe, signal, expected: [{ name, pid }] },
          onServing: () => undefined,
        }),
      );
      const own = statuses.find(({ id }) => id === name);
      if (!own) throw new Error(`${name} left as soon as it had come`);
      return own;
    } finally {
      probe.close();
    }
  }
}
