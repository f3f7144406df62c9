import { status } from '@grpc/grpc-js';

import { RestartStage } from '../../protos/gen/fractory/v1/launcher.js';
import type { RestartResponse } from '../../protos/gen/fractory/v1/launcher.js';
import { sleep, withDeadline } from '../../runtime/deadline.js';
import { cancelled, FractoryError, messageOf } from '../../runtime/errors.js';
import type { CoordinationServers } from '../coordination.js';
import { describeExit } from '../child-process.js';
import type { NodeChild } from '../child-process.js';
import type { HealthProbe } from '../health-probe.js';
import { allServing } from '../serving-watch.js';
import type { Supervisor } from '../supervisor.js';
import { restartOrder } from './restart-order.js';
import type { Restartable } from './restart-order.js';
import type { Roster } from './roster.js';

export interface RestartParts {
  readonly supervisor: Pick<Supervisor, 'restart' | 'nodes'>;
  readonly roster: Pick<Roster, 'members' | 'leader' | 'coordinator'>;
  readonly probe: HealthProbe;
  /** Of the ensemble; absent where the launcher holds none. */
  readonly servers?: CoordinationServers | undefined;
}

/** What is told of a restart, but for its place among the others. */
type Step = Omit<RestartResponse, 'number' | 'total'>;

export interface RestartOptions {
  /** How long one of them may take from its end until it serves again, ms. */
  readonly timeoutMs: number;
  /** Begins no other restart once it aborts; the one under way is finished. */
  readonly signal: AbortSignal;
}

const LOOK_MS = 20;
const PROBE_TIMEOUT_MS = 1000;

/**
 * Restarts members one after the other, servers of the ensemble before nodes: the next goes only when the one before serves again (a server: in the quorum), and its
 * type has a leader that serves.
 */
export class MemberRestarts {
  readonly #parts: RestartParts;
  #isBusy = false;

  constructor(parts: RestartParts) {
    this.#parts = parts;
  }

  /** `names`: those to restart, all of which are this launcher's. Ends with a MEMBER_NOT_BACK at the first that does not serve again. */
  async *restart(
    names: readonly string[],
    { timeoutMs, signal }: RestartOptions,
  ): AsyncGenerator<RestartResponse, void> {
    if (this.#isBusy) throw busy();
    this.#isBusy = true;
    try {
      const all = await this.#inOrder(names);
      for (const [index, { name, steps }] of all.entries()) {
        if (signal.aborted) throw cancelled(`nobody waits any more; ${stillWaiting(all, index)}`);
        const place = { number: index + 1, total: all.length };
        try {
          for await (const step of steps(timeoutMs)) yield { ...place, ...step };
        } catch (error) {
          throw notBack(name, error, stillWaiting(all, index + 1));
        }
      }
    } finally {
      this.#isBusy = false;
    }
  }

  async #inOrder(names: readonly string[]): Promise<readonly Turn[]> {
    const { supervisor, roster, servers } = this.#parts;
    const first = (await servers?.restartOrder())?.filter((name) => names.includes(name)) ?? [];
    const nodes = supervisor.nodes().filter(({ name }) => names.includes(name));
    return [
      ...first.map((name) => ({
        name,
        steps: (timeoutMs: number) => this.#restartServer(name, timeoutMs),
      })),
      ...restartOrder(nodes, roster.members()).map((node) => ({
        name: node.name,
        steps: (timeoutMs: number) => this.#restartNode(node, timeoutMs),
      })),
    ];
  }

  async *#restartNode({ name, type }: Restartable, timeoutMs: number): AsyncGenerator<Step, void> {
    const { supervisor } = this.#parts;
    const step = stepsOf(name);
    const before = supervisor.nodes().find((node) => node.name === name)?.pid ?? 0;
    yield step(RestartStage.STOPPING, before);
    const child = await supervisor.restart(name);
    yield step(RestartStage.STARTED, child.pid);
    await withDeadline(timeoutMs, `the start of ${name}`, (signal) =>
      Promise.race([this.#serving(child, type, signal), diedAgain(child)]),
    );
    yield step(RestartStage.SERVING, child.pid);
  }

  async *#restartServer(name: string, timeoutMs: number): AsyncGenerator<Step, void> {
    const { servers, roster } = this.#parts;
    if (!servers) return;
    const step = stepsOf(name);
    yield step(RestartStage.STOPPING, 0);
    const pid = await servers.restart(name);
    yield step(RestartStage.STARTED, pid);
    await withDeadline(timeoutMs, `the start of ${name}`, async (signal) => {
      await servers.serves(name, signal);
      // Its clients are with another server by now, or come back.
      while (roster.coordinator.state !== 'connected') await sleep(LOOK_MS, signal);
    });
    yield step(RestartStage.SERVING, pid);
  }

  async #serving({ command, pid }: NodeChild, type: string, signal: AbortSignal): Promise<void> {
    const { roster, probe } = this.#parts;
    await allServing({
      ...{ coordinator: roster.coordinator, probe, signal, onServing: () => undefined },
      expected: [{ name: command.name, pid }],
    });
    for (;;) {
      const leader = roster.leader(type);
      const state = leader && (await probe.check(leader.address, PROBE_TIMEOUT_MS));
      if (state === 'SERVING') return;
      await sleep(LOOK_MS, signal);
    }
  }
}

/** One whose turn comes. */
interface Turn {
  readonly name: string;
  readonly steps: (timeoutMs: number) => AsyncGenerator<Step, void>;
}

/** Makes the steps of one restart, which begins now. */
function stepsOf(member: string): (stage: RestartStage, pid: number) => Step {
  const startedAtMs = performance.now();
  return (stage, pid) => {
    const elapsedMs = Math.round(performance.now() - startedAtMs);
    return { member, stage, pid, elapsedMs };
  };
}

async function diedAgain({ exited }: NodeChild): Promise<never> {
  throw new FractoryError(
    status.ABORTED,
    'NODE_DIED',
    `it died after its restart (${describeExit(await exited)})`,
  );
}

function stillWaiting(all: readonly { readonly name: string }[], from: number): string {
  const names = all.slice(from).map(({ name }) => name);
  return names.length === 0 ? 'it was the last' : `not restarted: ${names.join(', ')}`;
}

function notBack(name: string, thrown: unknown, rest: string): FractoryError {
  if (thrown instanceof FractoryError && thrown.reason === 'QUORUM_AT_RISK')
    return new FractoryError(thrown.code, thrown.reason, `${thrown.message}; ${rest}`);
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'MEMBER_NOT_BACK',
    `${name} is not back: ${messageOf(thrown)}; ./datacenter logs ${name} tells why; ${rest}`,
    { cause: thrown, metadata: { member: name } },
  );
}

function busy(): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'RESTART_UNDER_WAY',
    'members are being restarted already, one at a time',
  );
}
