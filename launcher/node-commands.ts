import type {
  ControllerConfig,
  DataCenterConfig,
  PlannedNode,
} from '../config/data-center-config.js';
import { coordinatorUrl } from '../config/coordinator-choice.js';
import { nodeEnvironment } from '../config/node-environment.js';
import type { CoordinatorConfig } from '../config/node-config.js';
import type { NodeCommand } from './child-process.js';
import type { LogFiles } from './log-files.js';

/** A node's side of a private network. */
export interface NodePlace {
  readonly address: string;
  /** Absent: on the side of whoever starts it. */
  readonly within?: NodeCommand['within'];
}

/** How to start one node of a controller. */
export async function nodeCommand(
  config: DataCenterConfig,
  controller: ControllerConfig,
  node: PlannedNode,
  parts: {
    readonly coordinator: CoordinatorConfig;
    readonly logs: LogFiles;
    readonly verbose?: boolean;
    /** Where it has an address in a private network, and what starts it there. */
    readonly place?: NodePlace | undefined;
  },
): Promise<NodeCommand> {
  const { name, main, port } = node;
  const { place } = parts;
  const { type } = controller;
  const args = ['--config', config.file, '--name', name, '--type', type];
  if (port !== 0) args.push('--port', String(port));
  if (parts.verbose) args.push('--verbose');
  return {
    name,
    type,
    main,
    args,
    environment: nodeEnvironment({
      statePath: config.places.statePath,
      coordinator: coordinatorUrl(parts.coordinator),
      privateAddress: place?.address,
    }),
    logFile: await parts.logs.prepare(name),
    ...(place?.within && { within: place.within }),
  };
}

/** How to start every node of the ini file that `up` starts. */
export function plannedCommands(
  config: DataCenterConfig,
  parts: {
    readonly coordinator: CoordinatorConfig;
    readonly logs: LogFiles;
    readonly placeOf?: ((name: string) => Promise<NodePlace>) | undefined;
  },
): Promise<NodeCommand[]> {
  const planned = config.controllers
    .filter(({ listed }) => listed)
    .flatMap((controller) => controller.nodes.map((node) => ({ controller, node })));
  return Promise.all(
    planned.map(async ({ controller, node }) =>
      nodeCommand(config, controller, node, { ...parts, place: await parts.placeOf?.(node.name) }),
    ),
  );
}

const PREFERRED_PORT = '--preferred-port';

/** The command of a node that is to have its port again, if that is free: who knows its address needs no new one. 0 = any port. */
export function withPreferredPort(command: NodeCommand, port: number): NodeCommand {
  if (port === 0 || command.args.includes('--port')) return command;
  const at = command.args.indexOf(PREFERRED_PORT);
  const args = at < 0 ? command.args : command.args.toSpliced(at, 2);
  return { ...command, args: [...args, PREFERRED_PORT, String(port)] };
}
