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

/** How to start one node of a controller. */
export async function nodeCommand(
  config: DataCenterConfig,
  controller: ControllerConfig,
  node: PlannedNode,
  parts: {
    readonly coordinator: CoordinatorConfig;
    readonly logs: LogFiles;
    readonly verbose?: boolean;
  },
): Promise<NodeCommand> {
  const { name, main, port } = node;
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
    }),
    logFile: await parts.logs.prepare(name),
  };
}

/** How to start every node of the ini file that `up` starts. */
export function plannedCommands(
  config: DataCenterConfig,
  parts: { readonly coordinator: CoordinatorConfig; readonly logs: LogFiles },
): Promise<NodeCommand[]> {
  const planned = config.controllers
    .filter(({ listed }) => listed)
    .flatMap((controller) => controller.nodes.map((node) => ({ controller, node })));
  return Promise.all(
    planned.map(({ controller, node }) => nodeCommand(config, controller, node, parts)),
  );
}
