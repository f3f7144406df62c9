import { mkdir } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import type { DataCenterConfig } from '../config/data-center-config.js';
import type { CoordinatorConfig } from '../config/node-config.js';
import { coordinatorUrl } from '../config/coordinator-choice.js';
import { readSecret } from '../config/node.js';
import { withDeadline } from '../runtime/deadline.js';
import { FractoryError } from '../runtime/errors.js';
import { silentLogger } from '../runtime/logger.js';
import { Stopper } from '../runtime/stopper.js';
import { createCoordinator } from '../zookeeper/create.js';
import { describeExit } from './child-process.js';
import type { Coordination } from './coordination.js';
import { HandNodes } from './hand-nodes.js';
import { HealthProbe } from './health-probe.js';
import type { Interruption } from './interruption.js';
import { LogFiles } from './log-files.js';
import type { MemberStatus } from './member-status.js';
import { plannedCommands } from './node-commands.js';
import { claimFolder } from './folder-claim.js';
import type { Reporter } from './reporter.js';
import type { LiveProcess, RunRecorder } from './run-recorder.js';
import { ensureSecret } from './secret.js';
import { allServing } from './serving-watch.js';
import { Supervisor } from './supervisor.js';
import { unmetNeeds } from './unmet-needs.js';

export interface DataCenterRunOptions {
  readonly config: DataCenterConfig;
  readonly coordination: Coordination;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  readonly detached: boolean;
  /** Longest time until everything serves, ms. */
  readonly startTimeoutMs: number;
}

/** A node died before everything served. */
export class StartFailure extends FractoryError {
  /** The end of its log. */
  readonly lastLines: readonly string[];
  readonly member: string;

  constructor(member: string, how: string, lastLines: readonly string[]) {
    super(status.FAILED_PRECONDITION, 'NODE_DIED', `${member} died during the start (${how})`);
    this.member = member;
    this.lastLines = lastLines;
  }
}

/** Time beyond the nodes' own grace period before they are killed, ms. */
const EXTRA_GRACE_MS = 3000;
const CONNECT_TIMEOUT_MS = 30_000;
const HAND_NODE_GRACE_MS = 10_000;

/** A data center with this process as its launcher: from `start` to `stop`. */
export class DataCenterRun {
  readonly #options: DataCenterRunOptions;
  readonly #stopper = new Stopper();
  readonly #logs: LogFiles;
  readonly #supervisor: Supervisor;
  #recorder: RunRecorder | undefined;

  constructor(options: DataCenterRunOptions) {
    const { config, reporter } = options;
    this.#options = options;
    this.#logs = new LogFiles(config.places.statePath);
    this.#supervisor = new Supervisor({
      stopGraceMs: config.limits.shutdown_grace_ms + EXTRA_GRACE_MS,
      onChange: () => {
        void this.#recordProcesses().catch((error: unknown) => {
          reporter.warn(`the run file can't be written: ${String(error)}`);
        });
      },
      onNotice: (text) => {
        reporter.warn(text);
      },
    });
  }

  /**
   * Starts the coordinator and all nodes at the same time; resolves with the members when all are SERVING. Whatever it throws, `stop`
   * is to be called.
   */
  async start(): Promise<MemberStatus[]> {
    const { config, coordination, detached, interruption, reporter } = this.#options;
    const { statePath } = config.places;
    await mkdir(statePath, { recursive: true });
    this.#recorder = await claimFolder(config, { detached, reporter });
    this.#stopper.add(() => this.#recorder?.remove());
    await this.#logs.markStart();
    this.#stopper.add(
      interruption.onForce(() => {
        this.#supervisor.kill();
        coordination.kill();
      }),
    );
    await ensureSecret(statePath);
    if (coordination.notice !== undefined) reporter.note(coordination.notice);
    this.#stopper.add(() => coordination.stop());
    const coordinator = await coordination.prepare(await readSecret(statePath));
    await this.#recorder.change({ coordinator: coordinatorUrl(coordinator) });
    const started = this.#startParts(coordinator);
    const died = this.#supervisor.firstDeath.then(async ({ command, exit }) => {
      const lines = await this.#logs.lastLines(command.name, 12);
      throw new StartFailure(command.name, describeExit(exit), lines);
    });
    died.catch(() => undefined);
    const statuses = await Promise.race([started, died]);
    this.#supervisor.settle();
    await this.#recorder.change({ phase: 'serving' });
    for (const unmet of unmetNeeds(config, statuses)) reporter.warn(unmet);
    return statuses;
  }

  /** Stops everything in order. Idempotent. */
  stop(): Promise<void> {
    return this.#stopper.stop();
  }

  #startParts(coordinator: CoordinatorConfig): Promise<MemberStatus[]> {
    const { config, coordination, interruption, startTimeoutMs } = this.#options;
    return withDeadline(
      startTimeoutMs,
      'the start',
      async (signal) => {
        const ready = coordination.start(signal).then(() => this.#recordProcesses());
        ready.catch(() => undefined);
        this.#stopper.add(() => this.#stopNodes());
        const parts = { coordinator, logs: this.#logs };
        const commands = await plannedCommands(config, parts);
        signal.throwIfAborted();
        this.#supervisor.start(commands);
        await ready;
        return this.#watch(coordinator, signal);
      },
      interruption.signal,
    );
  }

  async #watch(where: CoordinatorConfig, signal: AbortSignal): Promise<MemberStatus[]> {
    const { config, reporter } = this.#options;
    const probe = new HealthProbe(config.security);
    const coordinator = createCoordinator({
      config: where,
      dataCenter: config.name,
      secret: await readSecret(config.places.statePath),
      log: silentLogger(),
    });
    try {
      await coordinator.start(CONNECT_TIMEOUT_MS);
      const children = this.#supervisor.children();
      reporter.progress(`${where.kind} is up; waiting for ${String(children.length)} nodes`);
      return await allServing({
        ...{ coordinator, probe, signal },
        expected: children.map(({ command, pid }) => ({ name: command.name, pid })),
        onServing: (member, waiting) => {
          const rest = waiting.length === 0 ? '' : `; waiting for ${waiting.join(', ')}`;
          reporter.progress(`${member} is serving${rest}`);
        },
      });
    } finally {
      probe.close();
      await coordinator.close();
    }
  }

  async #stopNodes(): Promise<void> {
    const { reporter, config } = this.#options;
    await this.#recorder?.change({ phase: 'stopping' });
    reporter.progress('stopping the nodes');
    await new HandNodes(config.places.statePath).stopAll(HAND_NODE_GRACE_MS);
    await this.#supervisor.stop();
    reporter.progress('stopping the coordinator');
  }

  #recordProcesses(): Promise<void> {
    return this.#recorder?.changeProcesses(() => this.#live()) ?? Promise.resolve();
  }

  #live(): LiveProcess[] {
    const nodes = this.#supervisor.children().map(({ command, pid }) => ({
      name: command.name,
      kind: 'node' as const,
      pid,
    }));
    const servers = this.#options.coordination
      .processes()
      .map(({ name, pid }) => ({ name, kind: 'zookeeper' as const, pid }));
    return [...servers, ...nodes];
  }
}
