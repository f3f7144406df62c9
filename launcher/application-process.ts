import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { childEnvironment } from '../config/node-environment.js';
import type { SecurityConfig } from '../config/node-config.js';
import { CREDENTIALS_VARIABLE } from '../runtime/arguments.js';
import { sleep } from '../runtime/deadline.js';
import { unavailable } from '../runtime/errors.js';
import type { Coordinator } from '../zookeeper/coordinator.js';
import type { CommandContext } from './command-context.js';
import { HealthProbe } from './health-probe.js';
import { withCoordinator } from './running-data-center.js';
import type { RunningDataCenter } from './running-data-center.js';
import { exitCodeInOurStead } from './child-exit.js';

/** Files beside the applications that are none. */
const NOT_APPLICATIONS = new Set(['index']);

/** Names of the applications: one file each. */
export async function applicationNames(root: string): Promise<string[]> {
  const files = await readdir(path.join(root, 'applications'));
  return files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .filter((name) => !NOT_APPLICATIONS.has(name))
    .sort();
}

/** How long a command waits for an application node that died and is started again, ms. */
const NODE_PATIENCE_MS = 10_000;
const PROBE_TIMEOUT_MS = 1000;
const LOOK_MS = 50;
/** How long an application may take to hear of Ctrl-C by itself, ms. */
const CANCELLING_MS = 300;

/**
 * Addresses of the application nodes, the leader first, as soon as one of them answers: one that has just died stays registered
 * for a while, at an address where nobody is. UNAVAILABLE if there is none.
 */
export async function applicationNodes(running: RunningDataCenter): Promise<string[]> {
  const { security, controllers } = running.config;
  const expected = controllers.some(({ type, listed }) => type === 'application' && listed);
  const probe = new HealthProbe(security);
  try {
    return await withCoordinator(running, (coordinator) =>
      answeringNodes(coordinator, probe, expected),
    );
  } finally {
    probe.close();
  }
}

async function answeringNodes(
  coordinator: Coordinator,
  probe: HealthProbe,
  expected: boolean,
): Promise<string[]> {
  const untilMs = performance.now() + NODE_PATIENCE_MS;
  for (;;) {
    // Members of a type come in order of their sequence: the first one leads.
    const members = coordinator.members().filter(({ type }) => type === 'application');
    const nodes = members.map(({ address }) => address);
    const states = await Promise.all(nodes.map((node) => probe.check(node, PROBE_TIMEOUT_MS)));
    if (states.includes('SERVING')) return nodes;
    const hopeless = nodes.length === 0 && !expected;
    if (hopeless || performance.now() > untilMs) return checkedNodes(nodes);
    await sleep(LOOK_MS);
  }
}

/** Where none answers, the call that follows says why. */
function checkedNodes(nodes: string[]): string[] {
  if (nodes.length > 0) return nodes;
  throw unavailable(
    'NO_APPLICATION_NODE',
    'no application node is registered; ./datacenter status lists the members',
  );
}

/**
 * Runs the applications' own program with our standard streams and returns its exit code. Signals are passed on; a Ctrl-C reached it
 * already, as it is in our process group, so that one is passed on only if it goes on: a second one would cut its cancelling short.
 */
export async function runApplications(
  context: CommandContext,
  args: readonly string[],
  security?: SecurityConfig,
): Promise<number> {
  const main = path.join(context.places.root, 'dist/applications/sdk/main.js');
  const credentials = security && { [CREDENTIALS_VARIABLE]: JSON.stringify(security) };
  const child = spawn(process.execPath, ['--enable-source-maps', main, ...args], {
    stdio: 'inherit',
    env: childEnvironment(credentials),
  });
  const signals = { onForce: 'SIGKILL', ctrlCAfterMs: CANCELLING_MS } as const;
  return exitCodeInOurStead(child, context.interruption, signals);
}
