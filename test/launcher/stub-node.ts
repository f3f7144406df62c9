import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { Server } from '@grpc/grpc-js';

import { readNodeConfig } from '../../config/node.js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthService,
} from '../../protos/gen/grpc/health/v1/health.js';
import type { HealthCheckResponse } from '../../protos/gen/grpc/health/v1/health.js';
import { createLogger } from '../../runtime/logger.js';
import { createCoordinator } from '../../zookeeper/create.js';
import { settings } from './stub-settings.js';
import { serveOnLoopback } from '../loopback-server.js';

/** The least that a launcher takes for a node: it registers, is SERVING, and stops at SIGTERM and at the end of its input. */
const config = await readNodeConfig(settings);
const { name, type } = config.node;
const log = createLogger({ fields: { member: name, type } });
const { behaviour } = config.settings;
const mark = path.join(config.statePath, `${name}.lived`);
if (behaviour === 'die' || (behaviour === 'once' && existsSync(mark))) {
  log.error({ why: 'settings' }, 'stub dies');
  process.exit(7);
}
writeFileSync(mark, '');

const coordinator = createCoordinator({
  config: config.coordinator,
  dataCenter: config.dataCenter.name,
  secret: config.secret,
  log,
});

async function stop(why: string): Promise<void> {
  log.info({ why }, 'stub stops');
  await coordinator.close();
  process.exit(0);
}
process.stdin.on('end', () => void stop('input ended')).resume();
process.on('SIGTERM', () => {
  if (behaviour === 'deaf') log.info('stub is deaf');
  else void stop('SIGTERM');
});

const server = new Server();
server.addService(HealthService, {
  check: (_call: unknown, callback: (error: null, response: HealthCheckResponse) => void) => {
    callback(null, { status: ServingStatus.SERVING });
  },
});
const port = await serveOnLoopback(server);
await coordinator.start(30_000);
await coordinator.register({
  ...{
    id: name,
    type,
    address: `127.0.0.1:${String(behaviour === 'lost' ? 1 : port)}`,
    metricsAddress: '',
    dataAddress: '',
  },
  ...{ pid: process.pid, instance: randomUUID(), version: '0', routing: config.node.routing },
  startedAt: new Date().toISOString(),
});
log.info('stub serves');
