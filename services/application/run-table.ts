import { status } from '@grpc/grpc-js';

import { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { contentBytesOf } from '../../protos/values.js';
import { FractoryError, limitExceeded } from '../../runtime/errors.js';
import { RunRecord } from './run-record.js';
import type { RunOptions } from './run-record.js';

export interface RunTableLimits {
  readonly maxRuns: number;
  readonly maxRemembered: number;
  /** Bytes that remembered runs take: results, graphs with all that stands in them, receipts. */
  readonly maxRememberedBytes: number;
}

/** The runs of one application node: those under way, and the last ones that ended. */
export class RunTable {
  readonly #limits: RunTableLimits;
  readonly #runs = new Map<string, RunRecord>();
  /** What remembered runs take. */
  readonly #bytes = new Map<string, number>();
  #running = 0;
  #rememberedBytes = 0;

  constructor(limits: RunTableLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get(id: string): RunRecord {
    const run = this.#runs.get(id);
    if (run) return run;
    throw new FractoryError(
      status.NOT_FOUND,
      'RUN_NOT_FOUND',
      `there is no run ${id}; ended runs are forgotten after the next ${String(this.#limits.maxRemembered)}`,
    );
  }

  /** Newest first. */
  list(): RunRecord[] {
    return [...this.#runs.values()].reverse();
  }

  /** The run of this id, where the same graph was sent before; a new one otherwise. */
  open(options: RunOptions): { run: RunRecord; isNew: boolean } {
    const known = this.#runs.get(options.id);
    if (known) {
      if (sameGraph(known.options.graph, options.graph)) return { run: known, isNew: false };
      throw new FractoryError(
        status.ALREADY_EXISTS,
        'RUN_EXISTS',
        `run ${options.id} exists with another graph; choose another id`,
      );
    }
    if (this.#running >= this.#limits.maxRuns)
      throw limitExceeded('max_runs', this.#running + 1, this.#limits.maxRuns, {
        retryAfterMs: 200,
      });
    const run = new RunRecord(options);
    this.#runs.set(run.id, run);
    this.#running++;
    return { run, isNew: true };
  }

  /** A run has ended: it is remembered until too many others have, or until they take too much room. */
  settle(run: RunRecord): void {
    if (!run.ended || this.#runs.get(run.id) !== run) return;
    this.#running--;
    const bytes = bytesOf(run);
    this.#bytes.set(run.id, bytes);
    this.#rememberedBytes += bytes;
    for (const [id, old] of this.#runs) {
      if (!this.#isOverfull()) return;
      if (!old.ended || old === run) continue;
      this.#runs.delete(id);
      this.#rememberedBytes -= this.#bytes.get(id) ?? 0;
      this.#bytes.delete(id);
    }
  }

  #isOverfull(): boolean {
    const { maxRemembered, maxRememberedBytes } = this.#limits;
    const remembered = this.#runs.size - this.#running;
    return remembered > maxRemembered || this.#rememberedBytes > maxRememberedBytes;
  }
}

/** About what a receipt takes. */
const RECEIPT_BYTES = 256;

function bytesOf({ ended, options }: RunRecord): number {
  const receipts = ended?.receipts.length ?? 0;
  const graph = Graph.encode(options.graph).finish().length;
  return contentBytesOf(ended?.result) + graph + receipts * RECEIPT_BYTES;
}

function sameGraph(one: Graph, other: Graph): boolean {
  return Buffer.compare(Graph.encode(one).finish(), Graph.encode(other).finish()) === 0;
}
