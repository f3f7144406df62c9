import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import { ControllerServiceService } from '../../protos/gen/fractory/v1/controller.js';
import type {
  ConnectResponse,
  DescribeGossipResponse,
  DescribeResponse,
  DrainRequest,
  DrainResponse,
  InvokeRequest,
  InvokeResponse,
  LinkRequest,
  LinkResponse,
} from '../../protos/gen/fractory/v1/controller.js';
import type { OperationDescription } from '../../protos/gen/fractory/v1/operation.js';
import { invalidArgument } from '../../runtime/errors.js';
import type { OperationSpec } from '../../services/adaptor.js';
import { pipe, typedService, unary } from './calls.js';
import type { CallContext, TypedService } from './calls.js';
import { capabilityHandlers } from './capabilities/handlers.js';
import { encodeContinuations } from './graph/continuation.js';
import type { Kernel } from './kernel.js';
import { LINK_METHOD } from './links.js';
import type { Links } from './links.js';
import type { NodeMemory } from './memory/node-memory.js';
import type { ObjectTable } from './capabilities/objects.js';
import type { Security } from './security.js';
import { traceparentOf } from './spans.js';

/** What a node says of itself. */
export interface NodeFacts {
  readonly dataCenter: string;
  readonly member: string;
  readonly type: string;
  readonly routing: 'leader' | 'any';
  readonly version: string;
  readonly operations: readonly OperationSpec[];
  /** Those of the kernel and those of the device. */
  readonly limits: Readonly<Record<string, number>>;
  readonly leads: () => boolean;
  readonly coordinated: () => boolean;
  /** Members as gossip has them here. */
  readonly gossip: () => DescribeGossipResponse;
  /** host:port of `GET /metrics`; empty before the node has registered. */
  readonly metricsAddress: () => string;
}

export interface ControllerParts {
  readonly kernel: Kernel;
  readonly objects: ObjectTable;
  readonly links: Links;
  readonly memory: Pick<NodeMemory, 'handlers'>;
  readonly security: Security;
  /** Leaves the data center in good order; resolves with what is left after the grace period, by default the node's own. */
  readonly drain: (graceMs?: number) => Promise<number>;
}

/** `ControllerService`, the same on every node. */
export function controllerService(facts: NodeFacts, parts: ControllerParts): TypedService {
  const { kernel, objects, links, memory, security, drain } = parts;
  return typedService(
    { ...ControllerServiceService, link: LINK_METHOD },
    {
      connect: unary((): ConnectResponse => connect(facts, objects)),
      invoke: unary((request: InvokeRequest, context): InvokeResponse => {
        kernel.admit(invocationOf(request, context));
        return {};
      }),
      ...capabilityHandlers(objects),
      ...memory.handlers,
      describe: unary((): DescribeResponse => describe(facts, objects.epoch)),
      describeGossip: unary((): DescribeGossipResponse => facts.gossip()),
      drain: unary(
        async ({ graceMs }: DrainRequest, { metadata }): Promise<DrainResponse> => {
          security.checkController(metadata, 'a drain is');
          return { left: await drain(graceMs || undefined) };
        },
        { isStanding: true },
      ),
      link: pipe<LinkRequest, LinkResponse>((stream, { metadata }) => {
        security.checkController(metadata);
        links.accept(stream);
      }),
    },
  );
}

function connect(facts: NodeFacts, objects: ObjectTable): ConnectResponse {
  const grants = facts.operations.map((spec) => ({
    operation: describeOperation(spec),
    capability: objects.roots.get(spec.name),
  }));
  return { member: facts.member, epoch: objects.epoch, grants };
}

function describe(facts: NodeFacts, epoch: bigint): DescribeResponse {
  const { dataCenter, member, type, routing, version } = facts;
  const limits = Object.fromEntries(
    Object.entries(facts.limits).map(([name, limit]) => [name, BigInt(limit)]),
  );
  const operations = facts.operations.map(describeOperation);
  return {
    dataCenter,
    member,
    type,
    routing,
    version,
    epoch,
    leader: facts.leads(),
    coordinated: facts.coordinated(),
    operations,
    limits,
    metricsAddress: facts.metricsAddress(),
  };
}

/** The limits among a device's settings: numbers whose names start with `max_`; where one is 0 the device chooses itself. */
export function limitsAmong(settings: unknown): Readonly<Record<string, number>> {
  if (typeof settings !== 'object' || settings === null) return {};
  const limits = Object.entries(settings).filter(
    (entry): entry is [string, number] =>
      /^max_/.test(entry[0]) && Number.isSafeInteger(entry[1]) && Number(entry[1]) > 0,
  );
  return Object.fromEntries(limits);
}

export function describeOperation(spec: OperationSpec): OperationDescription {
  return {
    name: spec.name,
    summary: spec.summary,
    arguments: spec.arguments.map((argument) => ({ ...argument, kinds: [...argument.kinds] })),
    output: [...spec.output],
    idempotent: spec.idempotent,
  };
}

function invocationOf(request: InvokeRequest, context: CallContext): Invocation {
  if (!request.capability)
    throw invalidArgument('capability', 'is missing; Connect gives the capabilities of a node');
  return {
    id: 0n,
    capability: request.capability,
    arguments: request.arguments,
    onSuccess: encodeContinuations(request.onSuccess),
    onFailure: encodeContinuations(request.onFailure),
    budgetMs: request.budgetMs || Math.floor(context.budgetMs),
    receipts: [],
    hops: 0,
    sentAtUs: 0n,
    traceparent: traceparentOf(context),
    shared: encodeContinuations(request.shared),
    attempt: 0,
    retries: 0,
  };
}
