import type { RunEnded, RunEvent } from '../../protos/gen/fractory/v1/application.js';
import { RunState } from '../../protos/gen/fractory/v1/application.js';
import type { Topology } from '../../protos/gen/fractory/v1/application.js';
import type { OrderedGraph } from './graph/checked-graph.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';

export interface RunOptions {
  readonly id: string;
  readonly graph: Graph;
  /** The same graph with its steps in order, where its form was checked before. */
  readonly ordered?: OrderedGraph | undefined;
  readonly topology: Topology;
  readonly budgetMs: number;
  readonly startedAtMs: number;
  /** When the budget ends, ms since 1970. Default: `budgetMs` after the run begins. */
  readonly deadlineMs?: number | undefined;
  /** It outlives its application node. Default false. */
  readonly durable?: boolean;
}

/** Where a run counts as under way, so that there are not too many. */
export interface Seat {
  /** It takes nobody's time for a while. */
  leave(): void;
  /** Resolves when there is room for it again; rejects with the reason of `signal`. */
  comeBack(signal: AbortSignal): Promise<void>;
}

/**
 * One execution of a graph and what has happened to it so far. Invariant: it ends exactly once, and the last event is its end; unless it is abandoned: then
 * it may end elsewhere, and nothing more is told of it here.
 */
export class RunRecord {
  readonly options: RunOptions;
  readonly #events: RunEvent[] = [];
  readonly #cancel = new AbortController();
  readonly #abandon = new AbortController();
  readonly #wake: (() => void)[] = [];
  #ended: RunEnded | undefined;
  #seat: Seat | undefined;
  #isAside = false;

  constructor(options: RunOptions) {
    this.options = options;
  }

  get id(): string {
    return this.options.id;
  }

  get ended(): RunEnded | undefined {
    return this.#ended;
  }

  get state(): RunState {
    return this.#ended?.state ?? RunState.RUNNING;
  }

  /** Aborts when somebody cancels the run. */
  get cancelSignal(): AbortSignal {
    return this.#cancel.signal;
  }

  /** Aborts when this node can't or may not end the run any more. */
  get abandonSignal(): AbortSignal {
    return this.#abandon.signal;
  }

  get isAbandoned(): boolean {
    return this.#abandon.signal.aborted;
  }

  /** Whoever follows it hears `reason` after the events so far. No effect after the end. */
  abandon(reason: Error): void {
    if (this.#ended) return;
    this.#abandon.abort(reason);
    for (const resume of this.#wake.splice(0)) resume();
  }

  cancel(reason: Error): void {
    this.#cancel.abort(reason);
  }

  /** To be called once. */
  occupy(seat: Seat): void {
    this.#seat = seat;
    if (this.#isAside) seat.leave();
  }

  /** It waits for a member that is missing: others may go ahead. Idempotent. */
  stepAside(): void {
    if (this.#isAside) return;
    this.#isAside = true;
    this.#seat?.leave();
  }

  /** Whoever stepped aside waits for its turn. */
  async goOn(signal: AbortSignal): Promise<void> {
    if (!this.#isAside) return;
    await this.#seat?.comeBack(signal);
    this.#isAside = false;
  }

  /** Resolves when the run has ended, or at the abort of `signal`; throws where it is abandoned. */
  async whenEnded(signal: AbortSignal): Promise<void> {
    const events = this.events(signal);
    while ((await events.next()).done !== true);
  }

  /** Adds an event; after the end there are no more. */
  add(event: NonNullable<RunEvent['event']>): void {
    if (this.#ended || this.isAbandoned) return;
    if (event.$case === 'ended') this.#ended = event.value;
    this.#events.push({ run: this.id, event });
    for (const resume of this.#wake.splice(0)) resume();
  }

  /** All events from the first on, until the end of the run or the abort of `signal`. Throws where the run is abandoned. */
  async *events(signal: AbortSignal): AsyncGenerator<RunEvent> {
    const onAbort = (): void => {
      for (const resume of this.#wake.splice(0)) resume();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (let next = 0; ; next++) {
        const event = await this.#eventAt(next, signal);
        if (event) yield event;
        else if (this.isAbandoned && !signal.aborted) throw this.#abandon.signal.reason as Error;
        else return;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Waits for an event; undefined after the last one and after the abort. */
  async #eventAt(index: number, signal: AbortSignal): Promise<RunEvent | undefined> {
    for (;;) {
      if (signal.aborted) return undefined;
      const event = this.#events[index];
      if (event || this.#ended || this.isAbandoned) return event;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
  }
}
