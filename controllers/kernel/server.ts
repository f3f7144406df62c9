import path from 'node:path';

import { Server, status } from '@grpc/grpc-js';
import type { ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

import { limitsSection } from '../../config/limits.js';
import type { Limits } from '../../config/limits.js';
import { toStatus } from '../../protos/status.js';
import { bindProblem } from '../../runtime/bind-problem.js';
import { CallGuard } from '../../runtime/call-guard.js';
import type { CallLimits } from '../../runtime/call-guard.js';
import {
  channelOptions,
  FLOW_CONTROL_WINDOW_BYTES,
  MAX_MESSAGE_BYTES,
} from '../../runtime/channels.js';
import { guardConnections } from '../../runtime/connection-guard.js';
import type { ConnectionLimits } from '../../runtime/connection-guard.js';
import { FractoryError } from '../../runtime/errors.js';
import type { MethodHandler, TypedService } from './calls.js';
import { grpcHandler } from './grpc-handlers.js';
import type { CallRules } from './grpc-handlers.js';
import { addReflection } from './reflection.js';
import type { Security } from './security.js';

/** A client that is silent is asked after this time, and cut off if it says nothing for as long again. */
const KEEPALIVE_MS = 2000;

/** What the connections and calls of a node may take. */
export type ServerLimits = CallLimits &
  ConnectionLimits &
  Pick<Limits, 'max_connection_calls' | 'max_request_bytes'>;

/** The gRPC server of one node: its services, reflection (v1 and v1alpha) and health. */
export class NodeServer {
  readonly #server: Server;
  readonly #health = new HealthImplementation({ '': 'NOT_SERVING' });
  readonly #services: string[] = [];
  /** Paths of methods whose requests may be as large as any message. */
  readonly #large = new Set<string>();
  readonly #descriptors: string;

  /** `root`: folder of the product, where the descriptors for reflection are. */
  constructor(root: string, limits: ServerLimits = limitsSection.parse({})) {
    this.#server = new Server({
      ...channelOptions,
      interceptors: [new CallGuard(limits, toStatus, this.#maxRequestBytes(limits)).interceptor],
      'grpc.max_concurrent_streams': limits.max_connection_calls,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
    });
    guardConnections(this.#server, limits, FLOW_CONTROL_WINDOW_BYTES);
    this.#health.addToServer(this.#server);
    this.#descriptors = path.join(root, 'protos/gen/descriptors.binpb');
  }

  add(service: TypedService, rules: CallRules): void {
    const handlers: Record<string, UntypedHandleCall> = {};
    for (const [name, handler] of Object.entries(service.handlers)) {
      const method = service.definition[name]?.path;
      if (method === undefined) throw new Error(`${name} is not a method of the service`);
      handlers[name] = grpcHandler(method.slice(1), handler, rules);
      if (takesLarge(handler)) this.#large.add(method);
    }
    this.#server.addService(service.definition, handlers);
    const name = serviceName(service.definition);
    this.#services.push(name);
    this.#health.setStatus(name, 'NOT_SERVING');
  }

  /**
   * Binds and serves; resolves with the port. `port` 0 = any, `preferredPort` if that is free. Health is NOT_SERVING until `setServing(true)`.
   */
  async start(ip: string, port: number, security: Security, preferredPort = 0): Promise<number> {
    const services = [...this.#services, 'grpc.health.v1.Health'];
    addReflection(this.#server, this.#descriptors, services);
    if (port !== 0 || preferredPort === 0) return this.#bind(ip, port, security);
    // Somebody may have it by now.
    return this.#bind(ip, preferredPort, security).catch(() => this.#bind(ip, 0, security));
  }

  #maxRequestBytes({ max_request_bytes: most }: ServerLimits): (path: string) => number {
    return (path) => (this.#large.has(path) ? MAX_MESSAGE_BYTES : most);
  }

  #bind(ip: string, port: number, security: Security): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(bracketed(ip, port), security.serverCredentials(), (error, bound) => {
        if (error) reject(cannotBind(ip, port, error));
        else resolve(bound);
      });
    });
  }

  setServing(serving: boolean): void {
    for (const name of ['', ...this.#services])
      this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** Refuses new calls and waits for those under way; after `graceMs` they are cut. */
  async stop(graceMs: number): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => {
        resolve();
      });
    });
    const timer = setTimeout(() => {
      this.#server.forceShutdown();
    }, graceMs);
    await ended;
    clearTimeout(timer);
  }
}

/** Those of controllers, and those that say so. */
const takesLarge = (handler: MethodHandler): boolean =>
  handler.kind === 'pipe' || (handler.kind === 'unary' && handler.isLarge === true);

function serviceName(definition: ServiceDefinition): string {
  const [first] = Object.values(definition);
  return first?.path.split('/')[1] ?? '';
}

export function bracketed(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${String(port)}` : `${ip}:${String(port)}`;
}

function cannotBind(ip: string, port: number, error: Error): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'CANNOT_BIND',
    `cannot listen on ${bracketed(ip, port)}: ${bindProblem(error)}; choose another grpc_ip or port`,
    { cause: error },
  );
}
