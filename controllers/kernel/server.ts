import { readFileSync } from 'node:fs';
import path from 'node:path';

import { Server, status } from '@grpc/grpc-js';
import type { ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';

import { reflectablePackage } from '../../protos/descriptors.js';
import { channelOptions, FLOW_CONTROL_WINDOW_BYTES } from '../../runtime/channels.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import type { TypedService } from './calls.js';
import { grpcHandler } from './grpc-handlers.js';
import type { CallRules } from './grpc-handlers.js';
import type { Security } from './security.js';

/** Messages that a foreign client may send in one piece; larger things travel as streams of chunks. */
const MAX_CONCURRENT_STREAMS = 1000;

/** The gRPC server of one node: its services, reflection (v1 and v1alpha) and health. */
export class NodeServer {
  readonly #server: Server;
  readonly #health = new HealthImplementation({ '': 'NOT_SERVING' });
  readonly #services: string[] = [];
  readonly #descriptors: string;

  /** `root`: folder of the product, where the descriptors for reflection are. */
  constructor(root: string) {
    this.#server = new Server({
      ...channelOptions,
      'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    });
    widenWindows(this.#server, FLOW_CONTROL_WINDOW_BYTES);
    this.#health.addToServer(this.#server);
    this.#descriptors = path.join(root, 'protos/gen/descriptors.binpb');
  }

  add(service: TypedService, rules: CallRules): void {
    const handlers: Record<string, UntypedHandleCall> = {};
    for (const [name, handler] of Object.entries(service.handlers)) {
      const method = service.definition[name]?.path;
      if (method === undefined) throw new Error(`${name} is not a method of the service`);
      handlers[name] = grpcHandler(method.slice(1), handler, rules);
    }
    this.#server.addService(service.definition, handlers);
    const name = serviceName(service.definition);
    this.#services.push(name);
    this.#health.setStatus(name, 'NOT_SERVING');
  }

  /** Binds and serves; resolves with the port. Health is NOT_SERVING until `setServing(true)`. */
  async start(ip: string, port: number, security: Security): Promise<number> {
    const services = [...this.#services, 'grpc.health.v1.Health'];
    const files = reflectablePackage(readFileSync(this.#descriptors));
    new ReflectionService(files, { services }).addToServer(this.#server);
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
    `cannot listen on ${bracketed(ip, port)}: ${messageOf(error)}; choose another grpc_ip or port`,
    { cause: error },
  );
}

/**
 * grpc-js lets a client choose its HTTP/2 window but not a server, whose uploads then crawl at 64 KiB a round trip. This reaches into
 * private fields, guarded: where they have changed, the server works with the small window.
 */
function widenWindows(server: Server, windowBytes: number): void {
  const inner = server as unknown as {
    commonServerOptions?: { settings?: object };
    createHttp2Server?: (credentials: unknown) => {
      on(
        event: 'session',
        listener: (session: { setLocalWindowSize(bytes: number): void }) => void,
      ): void;
    };
  };
  if (!inner.commonServerOptions || typeof inner.createHttp2Server !== 'function') return;
  inner.commonServerOptions.settings = {
    ...inner.commonServerOptions.settings,
    initialWindowSize: windowBytes,
  };
  const create = inner.createHttp2Server.bind(server);
  inner.createHttp2Server = (credentials) => {
    const http2Server = create(credentials);
    http2Server.on('session', (session) => {
      session.setLocalWindowSize(windowBytes);
    });
    return http2Server;
  };
}
