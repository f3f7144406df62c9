import { EventEmitter, once } from 'node:events';

import { Server } from '@grpc/grpc-js';
import type { UntypedHandleCall } from '@grpc/grpc-js';

import { CallRoom } from '../../../controllers/kernel/call-room.js';
import type { MethodHandler } from '../../../controllers/kernel/calls.js';
import type { CallRules } from '../../../controllers/kernel/grpc-handlers.js';
import { grpcHandler } from '../../../controllers/kernel/grpc-handlers.js';
import {
  StorageServiceClient,
  StorageServiceService,
} from '../../../protos/gen/fractory/v1/storage.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { silentLogger } from '../../../runtime/logger.js';
import { serveOnLoopback } from '../../loopback-server.js';

export const FILE = { client: 'admin', name: 'x' };

export interface Served extends AsyncDisposable {
  readonly client: StorageServiceClient;
  readonly stopping: AbortController;
  /** Status names of the calls that have ended. */
  readonly ended: string[];
  /** Resolves when that many calls have ended. */
  endedCalls(count: number): Promise<void>;
}

/** Serves these methods of StorageService behind a real server. */
export async function serve(
  methods: Partial<Record<'stat' | 'put' | 'get', MethodHandler>>,
  limits: { budgetMs?: number; check?: () => void; most?: number } & Pick<CallRules, 'ready'> = {},
): Promise<Served> {
  const stopping = new AbortController();
  const ended: string[] = [];
  const events = new EventEmitter();
  const rules = {
    ...{ log: silentLogger(), stopping: stopping.signal },
    rooms: {
      calls: new CallRoom(limits.most ?? 100, 'calls under way'),
      streams: new CallRoom(100, 'streams'),
    },
    defaultBudgetMs: limits.budgetMs ?? 10_000,
    maxBudgetMs: limits.budgetMs ?? 10_000,
    ...(limits.ready ? { ready: limits.ready } : {}),
    check: limits.check ?? ((): void => undefined),
    ended: (_method: string, code: string): void => {
      ended.push(code);
      events.emit('ended');
    },
  };
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const [name, handler] of Object.entries(methods))
    handlers[name] = grpcHandler(name, handler, rules);
  const server = new Server();
  server.addService(StorageServiceService, handlers);
  const port = await serveOnLoopback(server);
  const pool = new ChannelPool();
  return {
    ...{ client: pool.client(StorageServiceClient, `127.0.0.1:${String(port)}`), stopping, ended },
    endedCalls: async (count) => {
      while (ended.length < count) await once(events, 'ended');
    },
    [Symbol.asyncDispose]: async () => {
      pool.close();
      server.forceShutdown();
      await Promise.resolve();
    },
  };
}
