import { status } from '@grpc/grpc-js';

import { backoffMs } from '../../runtime/backoff.js';
import { sleep } from '../../runtime/deadline.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import type { StoredFile } from '../../protos/gen/fractory/v1/storage.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator } from '../../zookeeper/coordinator.js';
import type { ChaosCalls, ReadFile } from './chaos-calls.js';
import { CLIENT, fileOf } from './workloads.js';

const CALL_TIMEOUT_MS = 5000;
const PATIENCE_MS = 30_000;
const AGAIN = { initialMs: 20, maxMs: 500 };
const PASSING: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
]);

/** The files of the experiments, at whichever storage node leads; asked again for 30 s where none answers. */
export class StoredFiles {
  readonly #coordinator: Pick<Coordinator, 'members'>;
  readonly #calls: ChaosCalls;

  constructor(coordinator: Pick<Coordinator, 'members'>, calls: ChaosCalls) {
    this.#coordinator = coordinator;
    this.#calls = calls;
  }

  put(name: string, content: Buffer, signal: AbortSignal): Promise<void> {
    return this.#leader(signal, (address) =>
      this.#calls.put(address, fileOf(name), content, CALL_TIMEOUT_MS),
    );
  }

  /** Undefined if there is none. */
  get(name: string, signal: AbortSignal): Promise<ReadFile | undefined> {
    return this.#leader(signal, (address) =>
      this.#calls.get(address, fileOf(name), CALL_TIMEOUT_MS).catch(noneIfNotFound),
    );
  }

  async delete(name: string, signal: AbortSignal): Promise<void> {
    await this.#leader(signal, (address) =>
      this.#calls.delete(address, fileOf(name), CALL_TIMEOUT_MS).catch(noneIfNotFound),
    );
  }

  list(prefix: string, signal: AbortSignal): Promise<StoredFile[]> {
    return this.#leader(signal, (address) =>
      this.#calls.list(address, CLIENT, prefix, CALL_TIMEOUT_MS),
    );
  }

  async #leader<T>(signal: AbortSignal, call: (address: string) => Promise<T>): Promise<T> {
    const untilMs = performance.now() + PATIENCE_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        const leader = leaderOf(this.#coordinator.members(), 'storage');
        if (!leader) throw unavailable('NO_LEADER', 'storage has no leader');
        return await call(leader.address);
      } catch (error) {
        if (!(error instanceof FractoryError) || !isPassing(error)) throw error;
        if (performance.now() >= untilMs) throw error;
        await sleep(backoffMs(attempt, AGAIN), signal);
      }
    }
  }
}

function isPassing({ code, reason }: FractoryError): boolean {
  return PASSING.has(code) || reason === 'NOT_LEADER' || reason === 'FENCED';
}

function noneIfNotFound(error: unknown): undefined {
  if (error instanceof FractoryError && error.code === status.NOT_FOUND) return undefined;
  throw error;
}
