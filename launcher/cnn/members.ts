import { status } from '@grpc/grpc-js';
import type { ClientUnaryCall } from '@grpc/grpc-js';

import { CnnServiceClient } from '../../protos/gen/fractory/v1/cnn.js';
import type {
  ListModelsResponse,
  LoadModelResponse,
  Model,
  PinModelResponse,
  PredictRequest,
  PredictResponse,
  UnloadModelResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import type { DescribeResponse } from '../../protos/gen/fractory/v1/controller.js';
import type { FractoryError } from '../../runtime/errors.js';
import { unavailable } from '../../runtime/errors.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { CommandContext } from '../command-context.js';
import { NodeCalls } from '../node-calls.js';
import type { CallParts, NodeCallOptions } from '../node-calls.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import type { ModelReference } from './model-reference.js';

/** A CNN node that is registered. */
export type CnnMember = Pick<Member, 'id' | 'address'>;

const LOOK_TIMEOUT_MS = 5000;
/** Reading, checking and measuring a large model takes its time. */
const LOAD_TIMEOUT_MS = 120_000;

/** The CNN nodes of the running data center and their typed service. Valid until `use` is over. */
export async function withCnnMembers<T>(
  context: CommandContext,
  use: (members: CnnMembers) => Promise<T>,
): Promise<T> {
  const running = await findRunning(context);
  return withCoordinator(running, async (coordinator) => {
    using calls = new NodeCalls(running.config.security);
    const registered = (): readonly CnnMember[] =>
      coordinator
        .members()
        .filter(({ type }) => type === 'cnn')
        .sort((one, other) => one.id.localeCompare(other.id, 'en', { numeric: true }));
    return await use(new CnnMembers(calls, registered));
  });
}

/** Errors of its calls: what the node answers, UNAVAILABLE where it isn't reached. */
export class CnnMembers {
  readonly #calls: NodeCalls;
  readonly #registered: () => readonly CnnMember[];

  constructor(calls: NodeCalls, registered: () => readonly CnnMember[]) {
    this.#calls = calls;
    this.#registered = registered;
  }

  /** Those registered now, in order of their ids. */
  list(): readonly CnnMember[] {
    return this.#registered();
  }

  /** Those registered now; UNAVAILABLE if there are none. */
  some(): readonly CnnMember[] {
    const members = this.list();
    if (members.length > 0) return members;
    throw unavailable(
      'NO_CNN_NODE',
      'no CNN node is registered; ./datacenter status lists the members, ./datacenter node cnn starts one',
    );
  }

  async models({ address }: CnnMember, signal?: AbortSignal): Promise<readonly Model[]> {
    const { models } = await this.#calls.unary<CnnServiceClient, ListModelsResponse>(
      CnnServiceClient,
      address,
      (client, { metadata, options, done }) => client.listModels({}, metadata, options, done),
      optionsOf(LOOK_TIMEOUT_MS, signal),
    );
    return models;
  }

  /** Limits in force there, by name. */
  async limits({ address }: CnnMember, signal?: AbortSignal): Promise<Record<string, bigint>> {
    const { limits } = await this.#calls.unary<ControllerServiceClient, DescribeResponse>(
      ControllerServiceClient,
      address,
      (client, { metadata, options, done }) => client.describe({}, metadata, options, done),
      optionsOf(LOOK_TIMEOUT_MS, signal),
    );
    return limits;
  }

  predict(
    { address }: CnnMember,
    request: PredictRequest,
    options: NodeCallOptions,
  ): Promise<PredictResponse> {
    return this.#calls.unary(
      CnnServiceClient,
      address,
      (client, parts) => client.predict(request, parts.metadata, parts.options, parts.done),
      options,
    );
  }

  async load(
    member: CnnMember,
    reference: ModelReference,
    signal?: AbortSignal,
  ): Promise<Model | undefined> {
    const { model } = await this.#change<LoadModelResponse>(
      member,
      reference,
      signal,
      (client, request, parts) =>
        client.loadModel(request, parts.metadata, parts.options, parts.done),
    );
    return model;
  }

  /** Version 0 = all versions. */
  async unload(member: CnnMember, reference: ModelReference, signal?: AbortSignal): Promise<void> {
    await this.#change<UnloadModelResponse>(member, reference, signal, (client, request, parts) =>
      client.unloadModel(request, parts.metadata, parts.options, parts.done),
    );
  }

  /** Version 0 = none is pinned. */
  async pin(member: CnnMember, reference: ModelReference, signal?: AbortSignal): Promise<void> {
    await this.#change<PinModelResponse>(member, reference, signal, (client, request, parts) =>
      client.pinModel(request, parts.metadata, parts.options, parts.done),
    );
  }

  #change<R>(
    { address }: CnnMember,
    { name, version }: ModelReference,
    signal: AbortSignal | undefined,
    start: (
      client: CnnServiceClient,
      request: { readonly model: string; readonly version: number },
      parts: CallParts<R>,
    ) => ClientUnaryCall,
  ): Promise<R> {
    return this.#calls.unary<CnnServiceClient, R>(
      CnnServiceClient,
      address,
      (client, parts) => start(client, { model: name, version }, parts),
      optionsOf(LOAD_TIMEOUT_MS, signal),
    );
  }
}

/** Whether a failed call that we did not cancel may succeed at another member, or here a little later. */
export function isPassing({ code, reason, retryAfterMs }: FractoryError): boolean {
  // A node that goes down cancels what is under way.
  if (code === status.UNAVAILABLE || code === status.CANCELLED) return true;
  if (reason === 'CANT_MAKE_DEADLINE') return true;
  return code === status.RESOURCE_EXHAUSTED && retryAfterMs !== undefined;
}

function optionsOf(timeoutMs: number, signal: AbortSignal | undefined): NodeCallOptions {
  return signal ? { timeoutMs, signal } : { timeoutMs };
}
