import { status } from '@grpc/grpc-js';

import { RestartStage } from '../../protos/gen/fractory/v1/launcher.js';
import type { RestartResponse } from '../../protos/gen/fractory/v1/launcher.js';
import { sleep, withDeadline } from '../../runtime/deadline.js';
import { cancelled, FractoryError, messageOf } from '../../runtime/errors.js';
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
}

export interface RestartOptions {
  /** How long one of them may take from its end until it serves again, ms. */
  readonly timeoutMs: number;
  /** Begins no other restart once it aborts; the one under way is finished. */
  readonly signal: AbortSignal;
}

const LOOK_MS = 20;
const PROBE_TIMEOUT_MS = 1000;

/** Restarts members one after the other: the next goes only when the one before serves again, and its type has a leader that serves. */
export class MemberRestarts {
  readonly #parts: RestartParts;
  #isBusy = false;

  constructor(parts: RestartParts) {
    this.#parts = parts;
  }

  /** `names`: those to restart, all of which are supervised here. Ends with a MEMBER_NOT_BACK at the first that does not serve again. */
  async *restart(
    names: readonly string[],
    { timeoutMs, signal }: RestartOptions,
  ): AsyncGenerator<RestartResponse, void> {
    if (this.#isBusy) throw busy();
    this.#isBusy = true;
    try {
      const { supervisor, roster } = this.#parts;
      const wanted = supervisor.nodes().filter(({ name }) => names.includes(name));
      const all = restartOrder(wanted, roster.members());
      for (const [index, node] of all.entries()) {
        if (signal.aborted) throw cancelled(`nobody waits any more; ${stillWaiting(all, index)}`);
        const place = { number: index + 1, total: all.length };
        try {
          for await (const step of this.#restartOne(node, timeoutMs)) yield { ...place, ...step };
        } catch (error) {
          throw notBack(node.name, error, stillWaiting(all, index + 1));
        }
      }
    } finally {
      this.#isBusy = false;
    }
  }

  async *#restartOne(
    { name, type }: Restartable,
    timeoutMs: number,
  ): AsyncGenerator<Omit<RestartResponse, 'number' | 'total'>, void> {
    const { supervisor } = this.#parts;
    const startedAtMs = performance.now();
    const step = (stage: RestartStage, pid: number): Omit<RestartResponse, 'number' | 'total'> => {
      return {
        ...{ member: name, stage, pid },
        elapsedMs: Math.round(performance.now() - startedAtMs),
      };
    };
    const before = supervisor.nodes().find((node) => node.name === name)?.pid ?? 0;
    yield step(RestartStage.STOPPING, before);
    const child = await supervisor.restart(name);
    yield step(RestartStage.STARTED, child.pid);
    await withDeadline(timeoutMs, `the start of ${name}`, (signal) =>
      Promise.race([this.#serving(child, type, signal), diedAgain(child)]),
    );
    yield step(RestartStage.SERVING, child.pid);
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

async function diedAgain({ exited }: NodeChild): Promise<never> {
  throw new FractoryError(
    status.ABORTED,
    'NODE_DIED',
    `it died after its restart (${describeExit(await exited)})`,
  );
}

function stillWaiting(all: readonly Restartable[], from: number): string {
  const names = all.slice(from).map(({ name }) => name);
  return names.length === 0 ? 'it was the last' : `not restarted: ${names.join(', ')}`;
}

function notBack(name: string, thrown: unknown, rest: string): FractoryError {
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
