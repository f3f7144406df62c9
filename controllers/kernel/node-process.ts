import { setFlagsFromString } from 'node:v8';

import type { z } from 'zod';

import { readNodeConfig } from '../../config/node.js';
import type { NodeConfig } from '../../config/node-config.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import { createLogger } from '../../runtime/logger.js';
import type { Logger } from '../../runtime/logger.js';
import { createTracer } from '../../runtime/tracing/create.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import { VERSION } from '../../runtime/version.js';
import type { Coordinator } from '../../zookeeper/coordinator.js';
import { createCoordinator } from '../../zookeeper/create.js';
import type { MakeDevice } from './device.js';
import { FractoryNode } from './node.js';

/**
 * A node's heap is small and its buffers come and go: by its own rule V8 marks the whole heap several times a second under load. With room to grow to
 * four times what lives it does so a quarter as often, which is worth a tenth of what a CNN node can do on two cores.
 */
const HEAP_GROWTH = '--heap-growing-percent=300';

/**
 * The life of one node process, from its arguments to its exit code: 0 after a stop that was asked for, 1 after an error.
 * It stops at SIGTERM and SIGINT, and when the launcher that holds its standard input is gone.
 */
export async function runNode<S extends z.ZodObject>(
  settings: S,
  makeDevice: MakeDevice<z.output<S>>,
): Promise<void> {
  setFlagsFromString(HEAP_GROWTH);
  let log = createLogger();
  try {
    const config = await readNodeConfig(settings);
    const { name, type, verbose } = config.node;
    const fields = { member: name, type };
    log = createLogger({ fields, level: verbose ? 'debug' : 'info' });
    const coordinator = createCoordinator({
      config: config.coordinator,
      dataCenter: config.dataCenter.name,
      secret: config.secret,
      log,
    });
    expireOnSignal(coordinator, log);
    const tracer = await tracerOf(config, log);
    const node = new FractoryNode(config, makeDevice, { coordinator, log, tracer });
    const asked = stopAsked(config.supervised);
    await Promise.race([node.start(), asked]);
    const why = await asked;
    log.info({ why }, 'node is stopping');
    // Without the launcher the others end too: there is nobody left to finish anything for.
    await (why === LAUNCHER_GONE ? node.stop(0) : node.stop());
    log.info('node has stopped');
    process.exit(0);
  } catch (error) {
    fatal(log, error);
  }
}

function tracerOf({ telemetry, node, dataCenter }: NodeConfig, log: Logger): Promise<Tracer> {
  return createTracer({
    endpoint: telemetry.otlpEndpoint,
    resource: {
      'service.namespace': dataCenter.name,
      'service.name': `fractory-${node.type}`,
      'service.instance.id': node.name,
      'service.version': VERSION,
    },
    log,
  });
}

/** At SIGUSR2 this process's session with the coordinator ends at the coordinator; this end is not told. For experiments with failures. */
function expireOnSignal(coordinator: Coordinator, log: Logger): void {
  process.on('SIGUSR2', () => {
    coordinator.expireSession().catch((error: unknown) => {
      log.warn({ err: error }, 'the session was not ended');
    });
  });
}

/** Resolves with the reason when this process should end. A second signal ends it at once. */
function stopAsked(supervised: boolean): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve(signal);
        process.once(signal, () => process.exit(1));
      });
    }
    if (!supervised) return;
    process.stdin.on('end', () => {
      resolve(LAUNCHER_GONE);
    });
    process.stdin.on('error', () => {
      resolve(LAUNCHER_GONE);
    });
    process.stdin.resume();
  });
}

const LAUNCHER_GONE = 'the launcher is gone';

function fatal(log: Logger, error: unknown): never {
  if (error instanceof FractoryError)
    log.error({ reason: error.reason, error: error.message }, 'node cannot run');
  else log.error({ err: error, error: messageOf(error) }, 'node cannot run');
  process.exit(1);
}
