import { randomUUID } from 'node:crypto';

import { Metadata } from '@grpc/grpc-js';
import type { ClientReadableStream } from '@grpc/grpc-js';

import { RunState, Topology } from '../../protos/gen/fractory/v1/application.js';
import type {
  ApplicationServiceClient,
  Member,
  RunEnded,
  PlanResponse,
  RunEvent,
  RunResponse,
} from '../../protos/gen/fractory/v1/application.js';
import type { Graph, Receipt } from '../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { fromFailure, toFractoryError } from '../../protos/status.js';
import { toPlain } from '../../protos/values.js';
import type { ClientCredentials } from '../../runtime/arguments.js';
import { cancelled, unavailable } from '../../runtime/errors.js';
import { callOptions, Connection, unaryCall } from './connection.js';
import type { AnyFlow, Flow } from './flow/flow.js';
import { graphOf } from './flow/graph.js';
import type { None, ResultOf } from './kinds.js';
import { PlanReady, planOf } from './plan/plan.js';
import type { Plan } from './plan/plan.js';
import { StoredFiles, UnwrittenFiles } from './stored-files.js';

export interface DataCenterOptions {
  /** Name of the application: the name of its graphs. */
  readonly application: string;
  /** host:port of application nodes. */
  readonly applicationNodes: readonly string[];
  readonly credentials: ClientCredentials;
  /** How graphs run unless a run says otherwise. Default `ring`. */
  readonly topology?: 'ring' | 'star';
  /** Time for each run unless it says otherwise, ms. Default 30,000. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal;
  /** Whether runs outlive their application node unless a run says otherwise. Default false. */
  readonly durable?: boolean;
  /** Nothing is run or written: the first run throws `PlanReady` with its plan. Default false. */
  readonly isPlanOnly?: boolean;
}

export interface RunOptions {
  /** Id of the run; sending the same id and graph again attaches to it. Default: a random one. */
  readonly id?: string;
  /** Time for the whole run, ms. Default: the data center's, see `DataCenterOptions`. */
  readonly budgetMs?: number;
  readonly topology?: 'ring' | 'star';
  /**
   * The run is written down in storage before it begins and goes on if its application node dies; steps that must not be done twice are not. Without it the
   * run is sent again, as another one, if the node dies. Default: the data center's.
   */
  readonly durable?: boolean;
}

/** A run that has succeeded. */
export interface FinishedRun<Result> {
  readonly id: string;
  readonly result: Result;
  readonly receipts: readonly Receipt[];
  /** 1 unless a member was lost on the way. */
  readonly attempts: number;
  readonly elapsedMs: number;
}

/** Budget on top of the run's own for the call that waits for it, ms. */
const CALL_SLACK_MS = 5000;
const DEFAULT_BUDGET_MS = 30_000;

/** A running data center, as applications use it. Owns its connections: `close` it. */
export class DataCenter {
  /** Files in storage. */
  readonly files: StoredFiles;
  readonly #connection: Connection;
  readonly #options: DataCenterOptions;

  constructor(options: DataCenterOptions) {
    this.#options = options;
    this.#connection = new Connection(options.applicationNodes, options.credentials);
    this.files = new (options.isPlanOnly ? UnwrittenFiles : StoredFiles)(this.#connection);
  }

  /** The members as the application node sees them; of one device type, or all. */
  members(type?: string): Promise<Member[]> {
    return this.#connection.members(type);
  }

  /**
   * Runs a flow and waits for its end. Throws the FractoryError of the step that failed (`metadata.step` and `metadata.member`
   * say where), CANCELLED or DEADLINE_EXCEEDED.
   */
  async run<Out>(
    flow: Flow<None, Out>,
    options: RunOptions = {},
  ): Promise<FinishedRun<ResultOf<Out>>> {
    const ended = await this.runGraph(graphOf(this.#options.application, flow), options);
    return { ...ended, result: resultOf(ended.result) as ResultOf<Out> };
  }

  /** Checks a flow and says how it would run, without running it. */
  plan(flow: AnyFlow, options: Omit<RunOptions, 'id'> = {}): Promise<Plan> {
    return this.planGraph(graphOf(this.#options.application, flow), options);
  }

  /** Like `plan`, for a graph made by other means. */
  async planGraph(graph: Graph, options: Omit<RunOptions, 'id'> = {}): Promise<Plan> {
    const topology = this.#topologyOf(options);
    const { signal } = this.#options;
    const response = await this.#connection.application(
      (client, stop) =>
        unaryCall<PlanResponse>(stop, (metadata, done) =>
          client.plan({ graph, topology }, metadata, callOptions(), done),
        ),
      signal ? { signal } : {},
    );
    return planOf(graph, topology, { ...response, budgetMs: this.#budgetOf(options) });
  }

  /** Like `run`, for a graph made by other means; the result stays a value. */
  async runGraph(graph: Graph, options: RunOptions = {}): Promise<FinishedRun<Value | undefined>> {
    if (this.#options.isPlanOnly) throw new PlanReady(await this.planGraph(graph, options));
    const id = options.id ?? randomUUID();
    const budgetMs = this.#budgetOf(options);
    const durable = options.durable ?? this.#options.durable ?? false;
    const sent = { run: id, graph, topology: this.#topologyOf(options), durable };
    const endsAtMs = performance.now() + budgetMs;
    let leftMs = budgetMs;
    return this.#follow(id, durable ? budgetMs : undefined, (client, metadata) => {
      const options = { deadline: Date.now() + leftMs + CALL_SLACK_MS };
      const stream = client.run({ ...sent, budgetMs: leftMs }, metadata, options);
      // Sent again, to whichever node leads by then, it attaches to itself or has what is left of the time.
      stream.on('close', () => {
        leftMs = Math.min(budgetMs, Math.max(1, Math.ceil(endsAtMs - performance.now())));
      });
      return stream;
    });
  }

  /**
   * Waits for the end of a run that was sent before, by whoever knows its id; the result stays a value. NOT_FOUND (RUN_NOT_FOUND) where it is not known, or
   * not any more. `budgetMs`: how long to wait; default: the data center's.
   */
  watch(
    id: string,
    options: Pick<RunOptions, 'budgetMs'> = {},
  ): Promise<FinishedRun<Value | undefined>> {
    const timeoutMs = this.#budgetOf(options) + CALL_SLACK_MS;
    return this.#follow(id, timeoutMs, (client, metadata) =>
      client.watch({ run: id }, metadata, { deadline: Date.now() + timeoutMs }),
    );
  }

  async #follow(
    id: string,
    patienceMs: number | undefined,
    start: StartStream,
  ): Promise<FinishedRun<Value | undefined>> {
    const { signal } = this.#options;
    const ended = await this.#connection.application(
      (client, _, heard) => followRun(client, id, start, { heard, signal }),
      { ...(signal ? { signal } : {}), ...(patienceMs === undefined ? {} : { patienceMs }) },
    );
    if (ended.state !== RunState.SUCCEEDED) throw failureOf(ended);
    const { result, receipts, attempts, elapsedUs } = ended;
    return { id, result, receipts, attempts, elapsedMs: Number(elapsedUs) / 1000 };
  }

  close(): void {
    this.#connection.close();
  }

  #topologyOf({ topology }: RunOptions): Topology {
    return (topology ?? this.#options.topology) === 'star' ? Topology.STAR : Topology.RING;
  }

  #budgetOf({ budgetMs }: RunOptions): number {
    return budgetMs ?? this.#options.budgetMs ?? DEFAULT_BUDGET_MS;
  }
}

/** Asks a node for the events of a run. */
type StartStream = (
  client: ApplicationServiceClient,
  metadata: Metadata,
) => ClientReadableStream<RunResponse>;

/** Reads the events of a run to the end. An interrupt cancels the run at the node first. */
function followRun(
  client: ApplicationServiceClient,
  run: string,
  start: StartStream,
  { signal, heard }: { readonly signal: AbortSignal | undefined; readonly heard: () => void },
): Promise<RunEnded> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(cancelled(`run ${run} was cancelled before it began`));
      return;
    }
    const stream = start(client, new Metadata());
    const cancel = (): void => {
      client.cancel({ run }, new Metadata(), callOptions(CANCEL_TIMEOUT_MS), () => {
        stream.cancel();
        reject(cancelled(`run ${run} was cancelled`));
      });
    };
    signal?.addEventListener('abort', cancel, { once: true });
    stream.on('data', ({ event }: RunResponse) => {
      heard();
      const ended = endOf(event);
      if (ended) resolve(ended);
    });
    stream.on('end', () => {
      reject(unavailable('RUN_UNFINISHED', `the stream of run ${run} ended before the run`));
    });
    stream.on('error', (error) => {
      reject(toFractoryError(error));
    });
    stream.on('close', () => {
      signal?.removeEventListener('abort', cancel);
    });
  });
}

/** How long an interrupted application waits for the node to cancel its run. */
const CANCEL_TIMEOUT_MS = 2000;

function endOf(event: RunEvent | undefined): RunEnded | undefined {
  return event?.event?.$case === 'ended' ? event.event.value : undefined;
}

function failureOf(ended: RunEnded): Error {
  return ended.failure ? fromFailure(ended.failure) : new Error('the run failed without a reason');
}

/** JSON becomes what it encodes, integers become bigint, other bytes stay bytes. */
function resultOf(value: Value | undefined): unknown {
  const kind = value?.kind;
  switch (kind?.$case) {
    case 'integer':
      return BigInt(kind.value);
    case 'bytes':
      return kind.value.mediaType === 'application/json' ? toPlain(value) : kind.value;
    case 'list':
      return kind.value.values.map(resultOf);
    default:
      return kind?.value;
  }
}
