import { status } from '@grpc/grpc-js';

import type { DataCenterConfig } from '../config/data-center-config.js';
import type { CoordinatorConfig } from '../config/node-config.js';
import { coordinatorUrl } from '../config/coordinator-choice.js';
import { readSecret } from '../config/node.js';
import { withDeadline } from '../runtime/deadline.js';
import { FractoryError, messageOf } from '../runtime/errors.js';
import { silentLogger } from '../runtime/logger.js';
import { makeFolder } from '../runtime/made-folder.js';
import { Stopper } from '../runtime/stopper.js';
import { createCoordinator } from '../zookeeper/create.js';
import { describeExit } from './child-process.js';
import { ControlServer } from './control/control-server.js';
import { LauncherControl } from './control/launcher-service.js';
import { Roster } from './control/roster.js';
import type { Coordination } from './coordination.js';
import { HandNodes } from './hand-nodes.js';
import { HealthProbe } from './health-probe.js';
import type { Interruption } from './interruption.js';
import { LogFiles } from './log-files.js';
import type { MemberStatus } from './member-status.js';
import { placeIn, recordedNetwork } from './network/data-center-network.js';
import type { PrivateNetwork } from './network/private-network.js';
import { plannedCommands, withPreferredPort } from './node-commands.js';
import { claimFolder } from './folder-claim.js';
import type { Reporter } from './reporter.js';
import type { LiveProcess, RunRecorder } from './run-recorder.js';
import { ensureGossipKeys, ensureSecret } from './secret.js';
import { allServing } from './serving-watch.js';
import { Supervisor } from './supervisor.js';
import { unmetNeeds } from './unmet-needs.js';

export interface DataCenterRunOptions {
  readonly config: DataCenterConfig;
  readonly coordination: Coordination;
  readonly reporter: Reporter;
  readonly interruption: Interruption;
  readonly detached: boolean;
  /** Where nodes get links of their own. Default: the address of the ini file. */
  readonly network?: PrivateNetwork | undefined;
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
  readonly #control = new ControlServer();
  #roster: Roster | undefined;
  #recorder: RunRecorder | undefined;
  /** Who is waited for at the start, and why, if that is known. */
  #waitingFor: () => string = () => '';

  constructor(options: DataCenterRunOptions) {
    const { config, coordination, reporter } = options;
    this.#options = options;
    const record = (): void => {
      void this.#recordProcesses().catch((error: unknown) => {
        reporter.warn(`the run file can't be written: ${String(error)}`);
      });
    };
    coordination.onChange(record);
    this.#logs = new LogFiles(config.places.statePath);
    this.#supervisor = new Supervisor({
      stopGraceMs: config.limits.shutdown_grace_ms + EXTRA_GRACE_MS,
      onChange: record,
      onNotice: (text) => {
        reporter.warn(text);
      },
      onDeath: ({ command: { name }, pid }) => {
        this.#roster?.forget({ name, pid }).catch((error: unknown) => {
          reporter.progress(`${name} stays registered until its session ends: ${messageOf(error)}`);
        });
      },
      nextCommand: (command) =>
        withPreferredPort(command, this.#roster?.lastPort(command.name) ?? 0),
    });
  }

  /**
   * Starts the coordinator and all nodes at the same time; resolves with the members when all are SERVING. Whatever it throws, `stop`
   * is to be called.
   */
  async start(): Promise<MemberStatus[]> {
    const { config, coordination, detached, interruption, reporter } = this.#options;
    const { statePath } = config.places;
    await makeFolder(statePath);
    this.#recorder = await claimFolder(config, { detached, reporter });
    this.#stopper.add(() => this.#recorder?.remove());
    await this.#logs.markStart();
    await this.#openControl();
    this.#stopper.add(
      interruption.onForce(() => {
        this.#supervisor.kill();
        coordination.kill();
        reporter.warn('ended at once; the next ./datacenter up or down tidies up what that left');
      }),
    );
    await ensureSecret(statePath);
    if (config.gossip) await ensureGossipKeys(config.gossip, statePath);
    if (coordination.notice !== undefined) reporter.note(coordination.notice);
    this.#stopper.add(() => coordination.stop());
    const coordinator = await coordination.prepare(await readSecret(statePath));
    await this.#recorder.change({ coordinator: coordinatorUrl(coordinator) });
    await this.#recordNetwork();
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
    const { config, coordination, interruption, network, startTimeoutMs } = this.#options;
    return withDeadline(
      startTimeoutMs,
      'the start',
      async (signal) => {
        const ready = coordination.start(signal).then(() => this.#recordProcesses());
        ready.catch(() => undefined);
        this.#stopper.add(() => this.#stopNodes());
        const placeOf = network && ((name: string) => placeIn(network, name));
        const commands = await plannedCommands(config, { coordinator, logs: this.#logs, placeOf });
        await this.#recordNetwork();
        signal.throwIfAborted();
        this.#supervisor.start(commands);
        await ready;
        return this.#watch(coordinator, signal);
      },
      interruption.signal,
    ).catch((error: unknown) => {
      throw error instanceof FractoryError && error.code === status.DEADLINE_EXCEEDED
        ? tooSlow(error, this.#waitingFor())
        : error;
    });
  }

  async #watch(where: CoordinatorConfig, signal: AbortSignal): Promise<MemberStatus[]> {
    const { config, reporter } = this.#options;
    const secret = await readSecret(config.places.statePath);
    const probe = new HealthProbe(config.security);
    this.#stopper.add(() => {
      probe.close();
    });
    const log = silentLogger();
    const roster = new Roster(
      createCoordinator({ config: where, dataCenter: config.name, secret, log }),
    );
    this.#stopper.use(roster);
    await roster.start(CONNECT_TIMEOUT_MS);
    const children = this.#supervisor.children();
    reporter.progress(`${where.kind} is up; waiting for ${String(children.length)} nodes`);
    let missing = children.map(({ command }) => command.name);
    this.#waitingFor = () => describeMissing(missing, roster, probe);
    const statuses = await allServing({
      ...{ coordinator: roster.coordinator, probe, signal },
      expected: children.map(({ command, pid }) => ({ name: command.name, pid })),
      onServing: (member, waiting) => {
        missing = [...waiting];
        const rest = waiting.length === 0 ? '' : `; waiting for ${waiting.join(', ')}`;
        reporter.progress(`${member} is serving${rest}`);
      },
    });
    this.#roster = roster;
    this.#control.serve(
      new LauncherControl({
        ...{ supervisor: this.#supervisor, roster, probe, secret, security: config.security },
        graceMs: config.limits.shutdown_grace_ms,
        coordination: this.#options.coordination,
      }),
    );
    return statuses;
  }

  /** Commands reach this launcher by it. A file system that has no sockets keeps nobody from starting a data center. */
  async #openControl(): Promise<void> {
    const { config, reporter } = this.#options;
    this.#stopper.use(this.#control);
    try {
      const control = await this.#control.start(config.places.statePath);
      await this.#recorder?.change({ control });
    } catch (error) {
      reporter.warn(`restart and drain are not available: ${messageOf(error)}`);
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

  /** Commands find the way in by it. */
  async #recordNetwork(): Promise<void> {
    const { network } = this.#options;
    if (network) await this.#recorder?.change({ network: recordedNetwork(network) });
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

function tooSlow(cause: FractoryError, waitingFor: string): FractoryError {
  if (waitingFor === '') return cause;
  const text = `${cause.message}; not there: ${waitingFor}`;
  return new FractoryError(cause.code, cause.reason, text, { cause });
}

/** All of them, and what the first that can't be reached says: the others have mostly the same to say. */
function describeMissing(names: readonly string[], roster: Roster, probe: HealthProbe): string {
  const complaints = roster
    .members()
    .filter(({ id }) => names.includes(id))
    .flatMap(({ id, address }) => {
      const complaint = probe.complaintOf(address);
      return complaint === undefined ? [] : [`${id} at ${address} can't be reached: ${complaint}`];
    });
  return [names.join(', '), ...complaints.slice(0, 1)].join('; ');
}
