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
      checkSame(known, options);
      return { run: known, isNew: false };
    }
    this.checkRoom();
    const run = new RunRecord(options);
    this.#runs.set(run.id, run);
    this.#running++;
    return { run, isNew: true };
  }

  /** The run of this id, if it is known. */
  find(id: string): RunRecord | undefined {
    return this.#runs.get(id);
  }

  /** A run that began elsewhere, or was written down before: there is always room for it. */
  adopt(run: RunRecord): void {
    const known = this.#runs.get(run.id);
    if (known?.ended) this.#forget(known.id);
    else if (known) this.drop(known);
    this.#runs.set(run.id, run);
    this.#running++;
    if (run.ended) this.settle(run);
  }

  /** Throws RESOURCE_EXHAUSTED where there is no room for one more, with `others` that are about to begin. */
  checkRoom(others = 0): void {
    const running = this.#running + others;
    if (running >= this.#limits.maxRuns)
      throw limitExceeded('max_runs', running + 1, this.#limits.maxRuns, { retryAfterMs: 200 });
  }

  /** Resolves when no run is under way, or at the abort of `signal`. */
  async whenIdle(signal: AbortSignal): Promise<void> {
    for (const run of this.#runs.values())
      // Aborted or abandoned: nobody waits for that one any more.
      if (!run.ended) await run.whenEnded(signal).catch(() => undefined);
  }

  /** Whoever follows a run that is under way hears `reason`: it does not end here. */
  abandonAll(reason: Error): void {
    for (const run of this.#runs.values()) run.abandon(reason);
  }

  /** A run is abandoned: it is known here no more. */
  drop(run: RunRecord): void {
    if (run.ended || this.#runs.get(run.id) !== run) return;
    this.#runs.delete(run.id);
    this.#running--;
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
      this.#forget(id);
    }
  }

  #forget(id: string): void {
    this.#runs.delete(id);
    this.#rememberedBytes -= this.#bytes.get(id) ?? 0;
    this.#bytes.delete(id);
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

/** ALREADY_EXISTS where a run of the same id is another than the one that was sent. */
export function checkSame(known: RunRecord, sent: RunOptions): void {
  const { id, graph, durable = false } = known.options;
  const exists = (how: string): FractoryError =>
    new FractoryError(
      status.ALREADY_EXISTS,
      'RUN_EXISTS',
      `run ${id} exists ${how}; choose another id`,
    );
  if (!sameGraph(graph, sent.graph)) throw exists('with another graph');
  if (sent.durable && !durable) throw exists('and is not durable');
}

function sameGraph(one: Graph, other: Graph): boolean {
  return Buffer.compare(Graph.encode(one).finish(), Graph.encode(other).finish()) === 0;
}
