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
}

/**
 * One execution of a graph and what has happened to it so far. Invariant: it ends exactly once, and the last event is its end.
 */
export class RunRecord {
  readonly options: RunOptions;
  readonly #events: RunEvent[] = [];
  readonly #cancel = new AbortController();
  readonly #wake: (() => void)[] = [];
  #ended: RunEnded | undefined;

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

  cancel(reason: Error): void {
    this.#cancel.abort(reason);
  }

  /** Resolves when the run has ended, or at the abort of `signal`. */
  async whenEnded(signal: AbortSignal): Promise<void> {
    const events = this.events(signal);
    while ((await events.next()).done !== true);
  }

  /** Adds an event; after the end there are no more. */
  add(event: NonNullable<RunEvent['event']>): void {
    if (this.#ended) return;
    if (event.$case === 'ended') this.#ended = event.value;
    this.#events.push({ run: this.id, event });
    for (const resume of this.#wake.splice(0)) resume();
  }

  /** All events from the first on, until the end of the run or the abort of `signal`. */
  async *events(signal: AbortSignal): AsyncGenerator<RunEvent> {
    const onAbort = (): void => {
      for (const resume of this.#wake.splice(0)) resume();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (let next = 0; ; next++) {
        const event = await this.#eventAt(next, signal);
        if (!event) return;
        yield event;
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
      if (event || this.#ended) return event;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
  }
}
