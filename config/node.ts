import { status } from '@grpc/grpc-js';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { z } from 'zod';

import { FractoryError, invalidArgument, messageOf, systemCodeOf } from '../runtime/errors.js';
import { checkName } from '../runtime/names.js';
import { externalCoordinator } from './coordinator-choice.js';
import type { ControllerConfig, DataCenterConfig } from './data-center-config.js';
import { withKeys } from './gossip.js';
import { loadConfig } from './loader.js';
import type { CoordinatorConfig, NodeConfig } from './node-config.js';
import type { SectionSchema } from './values.js';

/** What the launcher tells a node: argv, and four environment variables. */
export interface NodeFacts {
  readonly argv: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Everything that a node process needs: the ini file with `schema` for the device's own keys, and what the launcher says
 * (`--config FILE --name storage-1 --type storage [--port N] [--preferred-port N] [--verbose]`, FRACTORY_COORDINATOR, FRACTORY_STATE,
 * FRACTORY_SUPERVISED, FRACTORY_SECRET).
 */
export async function readNodeConfig<S extends SectionSchema>(
  schema: S,
  facts: NodeFacts = { argv: process.argv.slice(2), environment: process.env },
): Promise<NodeConfig<z.output<S>>> {
  const { environment } = facts;
  const { name, type, file, port, preferredPort, verbose } = readNodeArguments(facts.argv);
  const config = await loadConfig({
    file,
    environment,
    settingsOf: (candidate) => Promise.resolve(candidate === type ? schema : undefined),
  });
  const controller = controllerOfType(config, type);
  const { root, statePath } = config.places;
  return {
    root,
    statePath,
    dataCenter: { name: config.name, grpcIp: config.grpcIp, storagePath: config.storagePath },
    coordinator: coordinatorOf(config, environment),
    security: config.security,
    secret: await readSecret(statePath, environment),
    limits: config.limits,
    gossip: config.gossip && (await withKeys(config.gossip, statePath)),
    telemetry: { otlpEndpoint: config.otlpEndpoint },
    node: {
      name: checkName('--name', name),
      type,
      routing: controller.routing,
      verbose: controller.verbose || verbose,
      port,
      preferredPort,
    },
    supervised: environment['FRACTORY_SUPERVISED'] === '1',
    settings: controller.settings as z.output<S>,
  };
}

interface NodeArguments {
  readonly name: string;
  readonly type: string;
  readonly file: string | undefined;
  readonly port: number;
  readonly preferredPort: number;
  readonly verbose: boolean;
}

function readNodeArguments(argv: readonly string[]): NodeArguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      config: { type: 'string' },
      name: { type: 'string' },
      type: { type: 'string' },
      port: { type: 'string', default: '0' },
      'preferred-port': { type: 'string', default: '0' },
      verbose: { type: 'boolean', default: false },
    },
  });
  if (values.name === undefined) throw invalidArgument('--name', 'is missing');
  if (values.type === undefined) throw invalidArgument('--type', 'is missing');
  const { name, type, config: file, verbose } = values;
  const port = portOf('--port', values.port);
  const preferredPort = portOf('--preferred-port', values['preferred-port']);
  return { name, type, file, port, preferredPort, verbose };
}

function portOf(option: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw invalidArgument(option, `${text} is not a port`);
}

/** The controller of a device type; NOT_FOUND names those that exist. */
export function controllerOfType(config: DataCenterConfig, type: string): ControllerConfig {
  const found = config.controllers.find((controller) => controller.type === type);
  if (found) return found;
  const types = config.controllers.map((controller) => controller.type).join(', ');
  throw new FractoryError(
    status.NOT_FOUND,
    'UNKNOWN_TYPE',
    `${config.file} has no controller of type ${type}; it has ${types}`,
  );
}

function coordinatorOf(
  config: DataCenterConfig,
  environment: NodeJS.ProcessEnv,
): CoordinatorConfig {
  const coordinator = externalCoordinator(config, environment);
  if (coordinator) return coordinator;
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'NO_COORDINATOR',
    'nobody says where the coordinator is: set FRACTORY_COORDINATOR=zookeeper://host:port or [ZooKeeper] connect',
  );
}

/** File of the secret that the nodes of a data center share; the launcher makes it. */
export function secretFile(statePath: string): string {
  return path.join(statePath, 'secret');
}

/** The secret of a data center: FRACTORY_SECRET, else its file; FAILED_PRECONDITION where the launcher hasn't made it yet. */
export async function readSecret(
  statePath: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const given = environment['FRACTORY_SECRET'];
  if (given !== undefined && given !== '') return given;
  const file = secretFile(statePath);
  let secret: string;
  try {
    secret = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const text = systemCodeOf(error) === 'ENOENT' ? 'is missing' : messageOf(error);
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'NO_SECRET',
      `the data center's secret ${file} ${text}; ./datacenter up makes it, on another machine set FRACTORY_SECRET`,
      { cause: error },
    );
  }
  if (/^[0-9a-f]{64}$/.test(secret)) return secret;
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'BAD_SECRET',
    `${file} doesn't hold a secret of 64 hexadecimal digits; remove it and ./datacenter up makes another`,
  );
}
