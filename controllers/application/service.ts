import { randomUUID } from 'node:crypto';

import {
  ApplicationServiceService,
  Standing,
  Topology,
} from '../../protos/gen/fractory/v1/application.js';
import type {
  ApplicationServiceGetRequest,
  ApplicationServiceGetResponse,
  ApplicationServiceListRequest,
  ApplicationServiceListResponse,
  ApplicationServiceWatchRequest,
  ApplicationServiceWatchResponse,
  CancelRequest,
  CancelResponse,
  ListMembersRequest,
  ListMembersResponse,
  ListOperationsRequest,
  ListOperationsResponse,
  PlanRequest,
  PlanResponse,
  Run,
  RunRequest,
  RunResponse,
} from '../../protos/gen/fractory/v1/application.js';
import { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { cancelled, invalidArgument, limitExceeded } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { orderGraph } from '../../services/application/graph/check.js';
import { checkSize } from '../../services/application/graph/form.js';
import type { RunOptions, RunRecord } from '../../services/application/run-record.js';
import type { RunTable } from '../../services/application/run-table.js';
import { serverStream, typedService, unary } from '../kernel/calls.js';
import type { CallContext, TypedService } from '../kernel/calls.js';
import type { KernelAccess } from '../kernel/device.js';
import { traceparentOf } from '../kernel/spans.js';
import type { DurableRuns } from './durable-runs.js';
import { describePlan } from './plan-description.js';
import { plan } from './plan.js';
import { kindOfRun } from './run-admission.js';
import type { RunAdmission } from './run-admission.js';
import type { Runner } from './runner.js';

export interface ApplicationParts {
  readonly member: string;
  readonly kernel: KernelAccess;
  readonly runs: RunTable;
  readonly runner: Runner;
  /** What new runs have to pass. */
  readonly admission: RunAdmission;
  readonly durable: Pick<DurableRuns, 'open' | 'find'>;
}

/** `ApplicationService`: runs graphs for applications and tells them who is there. */
export function applicationService(parts: ApplicationParts): TypedService {
  const { kernel, runs } = parts;
  return typedService(ApplicationServiceService, {
    run: serverStream((request: RunRequest, context) => runGraph(parts, request, context), {
      endsItself: true,
    }),
    watch: serverStream(
      (request: ApplicationServiceWatchRequest, context) => watchRun(parts, request, context),
      { endsItself: true },
    ),
    plan: unary((request: PlanRequest, { signal }) => planGraph(kernel, request, signal)),
    get: unary(
      async (request: ApplicationServiceGetRequest): Promise<ApplicationServiceGetResponse> => ({
        run: describeRun(await knownRun(parts, request.run), true),
      }),
    ),
    list: unary((request: ApplicationServiceListRequest) => listRuns(runs, request)),
    cancel: unary(async (request: CancelRequest, { signal }): Promise<CancelResponse> => {
      const run = await knownRun(parts, request.run);
      run.cancel(cancelled(`run ${run.id} was cancelled`));
      await run.whenEnded(signal);
      return { state: run.state };
    }),
    listMembers: unary((request: ListMembersRequest) => listMembers(kernel, request)),
    listOperations: unary((_request: ListOperationsRequest, { signal }) =>
      listOperations(kernel, signal),
    ),
  });
}

async function* runGraph(
  parts: ApplicationParts,
  request: RunRequest,
  context: CallContext,
): AsyncGenerator<RunResponse> {
  const known = request.run === '' ? undefined : parts.runs.find(request.run);
  const run = await (known ? open(parts, request, context) : admit(parts, request, context));
  for await (const event of run.events(context.signal)) yield { event };
}

/** A run that is new here waits for its turn, at the cost of its own budget. */
async function admit(
  parts: ApplicationParts,
  request: RunRequest,
  context: CallContext,
): Promise<RunRecord> {
  const { admission, kernel } = parts;
  const budgetMs = request.budgetMs || kernel.limits.default_budget_ms;
  const arrivedAtMs = performance.now();
  const mostMs = Math.min(budgetMs, context.budgetMs);
  const place = await admission.enter(kindOfRun(request), mostMs, context.signal);
  try {
    const waitedMs = Math.round(performance.now() - arrivedAtMs);
    const left = { ...request, budgetMs: Math.max(1, budgetMs - waitedMs) };
    const run = await open(parts, waitedMs > 0 ? left : request, context);
    place.follow(run);
    return run;
  } catch (error) {
    place.leave();
    throw error;
  }
}

async function open(
  parts: ApplicationParts,
  request: RunRequest,
  context: CallContext,
): Promise<RunRecord> {
  const options = runOptions(parts.kernel, request);
  const parent = traceparentOf(context);
  return request.durable
    ? await parts.durable.open(options, parent)
    : openRun(parts, options, parent);
}

async function* watchRun(
  parts: ApplicationParts,
  { run: id }: ApplicationServiceWatchRequest,
  { signal }: CallContext,
): AsyncGenerator<ApplicationServiceWatchResponse> {
  const run = await knownRun(parts, id);
  for await (const event of run.events(signal)) yield { event };
}

/** Under way or ended, here or written down; NOT_FOUND otherwise. */
async function knownRun({ runs, durable }: ApplicationParts, id: string): Promise<RunRecord> {
  checkName('run', id);
  return (await durable.find(id)) ?? runs.get(id);
}

/** A run that ends with this node. */
function openRun(
  { member, kernel, runs, runner }: ApplicationParts,
  options: RunOptions,
  parent: string,
): RunRecord {
  const { run, isNew } = runs.open(options);
  if (isNew)
    queueMicrotask(() => {
      run.add({ $case: 'accepted', value: { member, epoch: kernel.epoch() } });
      void runner.execute(run, parent).then(() => {
        if (run.ended) runs.settle(run);
        else runs.drop(run);
      });
    });
  return run;
}

function runOptions(kernel: KernelAccess, request: RunRequest): RunOptions {
  const { limits } = kernel;
  const graph = checkedSize(kernel, request.graph);
  if (request.budgetMs > limits.max_budget_ms)
    throw limitExceeded('max_budget_ms', request.budgetMs, limits.max_budget_ms);
  const ordered = orderGraph(graph, limits.max_steps);
  return {
    id: request.run === '' ? randomUUID() : checkName('run', request.run, 64),
    graph,
    ordered,
    topology: request.topology === Topology.STAR ? Topology.STAR : Topology.RING,
    budgetMs: request.budgetMs || limits.default_budget_ms,
    startedAtMs: Date.now(),
    durable: request.durable,
  };
}

function checkedSize({ limits }: KernelAccess, graph: Graph | undefined): Graph {
  if (!graph) throw invalidArgument('graph', 'is missing', 'BAD_GRAPH');
  // Before the encoding, which goes as deep as the graph does.
  checkSize(graph, limits.max_steps);
  const bytes = Graph.encode(graph).finish().length;
  if (bytes > limits.max_graph_bytes)
    throw limitExceeded('max_graph_bytes', bytes, limits.max_graph_bytes, {
      what: 'the size of the graph in bytes',
    });
  return graph;
}

/** Checks a graph and gives its steps places as a run does, and goes no further. */
async function planGraph(
  kernel: KernelAccess,
  request: PlanRequest,
  signal: AbortSignal,
): Promise<PlanResponse> {
  const graph = checkedSize(kernel, request.graph);
  const { topology } = request;
  const budgetMs = kernel.limits.default_budget_ms;
  const deadlineMs = Date.now() + budgetMs;
  const planned = await plan(kernel, { run: graph.name, graph, deadlineMs, topology }, signal);
  return { steps: describePlan(planned.graph), budgetMs };
}

function describeRun(run: RunRecord, whole: boolean): Run {
  const { id, graph, topology, startedAtMs, durable = false } = run.options;
  return {
    ...{ run: id, topology, state: run.state, startedAtMs: BigInt(startedAtMs), durable },
    graph: whole ? graph : undefined,
    ended: whole ? run.ended : undefined,
  };
}

const DEFAULT_PAGE = 100;

function listRuns(
  runs: RunTable,
  { pageSize, pageToken }: ApplicationServiceListRequest,
): ApplicationServiceListResponse {
  const all = runs.list();
  const start = pageToken === '' ? 0 : all.findIndex((run) => run.id === pageToken);
  if (start < 0) throw invalidArgument('page_token', 'is not of a page before, or too old');
  const size = pageSize || DEFAULT_PAGE;
  return {
    runs: all.slice(start, start + size).map((run) => describeRun(run, false)),
    nextPageToken: all[start + size]?.id ?? '',
  };
}

const STANDINGS = {
  trusted: Standing.TRUSTED,
  suspected: Standing.SUSPECTED,
  ejected: Standing.EJECTED,
  probed: Standing.PROBED,
  dead: Standing.DEAD,
} as const;

function listMembers(kernel: KernelAccess, { type }: ListMembersRequest): ListMembersResponse {
  const led = new Set<string>();
  const members = kernel
    .members()
    .filter((member) => type === '' || member.type === type)
    .map((member) => {
      const { id, address, epoch, pid } = member;
      const leader = !led.has(member.type);
      led.add(member.type);
      const standing = STANDINGS[kernel.standingOf(member)];
      return { id, type: member.type, address, epoch, leader, pid, standing };
    });
  return { members };
}

/** What one member of each type can do. */
async function listOperations(
  kernel: KernelAccess,
  signal: AbortSignal,
): Promise<ListOperationsResponse> {
  const types = [...new Set(kernel.members().map((member) => member.type))];
  const grants = await Promise.all(types.map((type) => kernel.connect(kernel.pick(type), signal)));
  return {
    operations: grants.flatMap((granted) => [...granted.values()].map((one) => one.operation)),
  };
}
