import { status } from '@grpc/grpc-js';

import type { RunEnded } from '../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { backoffMs } from '../../runtime/backoff.js';
import { sleep } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import type { ChaosCalls } from './chaos-calls.js';

export interface RunToDo {
  /** Chosen by us, and kept whenever it is sent again. */
  readonly id: string;
  readonly graph: Graph;
  readonly durable: boolean;
  readonly budgetMs: number;
}

/** What a client heard of its run. */
export interface RunHeard {
  /** Absent: it heard no end until long after the budget. */
  readonly ended: RunEnded | undefined;
  /** What the run was refused with for good. */
  readonly refusal: FractoryError | undefined;
  /** How often it was sent. */
  readonly sends: number;
}

/** How long past its budget a run may take to tell its end, ms. */
const SLACK_MS = 10_000;
const AGAIN = { initialMs: 20, maxMs: 250 };
/** Refusals that another node, or the same one a little later, may take back. */
const PASSING_CODES: ReadonlySet<number> = new Set([status.UNAVAILABLE, status.CANCELLED]);
const PASSING_REASONS: ReadonlySet<string> = new Set(['NOT_LEADER', 'RUN_TAKEN_OVER', 'FENCED']);

/**
 * A client that doesn't give up: it sends its run to the application node that leads, and again, with the same id, wherever one leads then, when the stream
 * breaks, the node refuses or isn't registered any more.
 */
export class RunClient {
  readonly #coordinator: Pick<Coordinator, 'members' | 'onMembers'>;
  readonly #calls: Pick<ChaosCalls, 'run'>;

  constructor(
    coordinator: Pick<Coordinator, 'members' | 'onMembers'>,
    calls: Pick<ChaosCalls, 'run'>,
  ) {
    this.#coordinator = coordinator;
    this.#calls = calls;
  }

  /** Throws only what `signal` aborts with. */
  async run({ id, graph, durable, budgetMs }: RunToDo, signal: AbortSignal): Promise<RunHeard> {
    const startMs = performance.now();
    let sends = 0;
    let told: string | undefined;
    for (let failures = 0; ;) {
      signal.throwIfAborted();
      const spentMs = performance.now() - startMs;
      if (spentMs > budgetMs + SLACK_MS) return { ended: undefined, refusal: undefined, sends };
      const leader = leaderOf(this.#coordinator.members(), 'application');
      const address = told ?? leader?.address;
      told = undefined;
      if (address !== undefined) {
        sends++;
        const leftMs = Math.max(1, Math.round(budgetMs - spentMs));
        const asked = { run: id, graph, durable, budgetMs: leftMs };
        using life = this.#lifeOf(leader?.address === address ? leader : undefined, signal);
        try {
          const ended = await this.#calls.run(address, asked, leftMs + SLACK_MS, life.signal);
          return { ended, refusal: undefined, sends };
        } catch (error) {
          if (!(error instanceof FractoryError)) throw error;
          signal.throwIfAborted();
          if (!isPassing(error)) return { ended: undefined, refusal: error, sends };
          told = error.metadata['address'];
        }
      }
      await sleep(backoffMs(Math.min(++failures, 10), AGAIN), signal);
    }
  }

  /** Aborts with `parent`, and when the member isn't registered any more. */
  #lifeOf(
    member: Member | undefined,
    parent: AbortSignal,
  ): { readonly signal: AbortSignal } & Disposable {
    const controller = new AbortController();
    const end = (): void => {
      controller.abort();
    };
    const unsubscribe = this.#coordinator.onMembers((members) => {
      if (member && !members.some(({ id, epoch }) => id === member.id && epoch === member.epoch))
        end();
    });
    parent.addEventListener('abort', end, { once: true });
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        unsubscribe();
        parent.removeEventListener('abort', end);
      },
    };
  }
}

function isPassing({ code, reason, retryAfterMs }: FractoryError): boolean {
  if (PASSING_CODES.has(code) || PASSING_REASONS.has(reason)) return true;
  return code === status.RESOURCE_EXHAUSTED && retryAfterMs !== undefined;
}
