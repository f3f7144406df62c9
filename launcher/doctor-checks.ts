import { execFile } from 'node:child_process';
import { rm, stat, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';

import { systemEnvironment } from '../config/search-path.js';
import { zookeeperEnvironment } from '../config/zookeeper-environment.js';
import { Ensemble } from '../zookeeper/ensemble.js';
import { messageOf, systemCodeOf } from '../runtime/errors.js';
import { makeFolder } from '../runtime/made-folder.js';
import { ConfigError } from '../config/problems.js';
import type { CommandContext } from './command-context.js';
import { RunFile } from './run-file.js';
import type { RunState } from './run-file.js';
import { stateFolderFailure, stateFolderProblem } from './state-folder-failure.js';

/** What one check found: `wrong` = there, but not as it has to be; `optional` = missing, but everything needed works without it. */
export interface Finding {
  readonly subject: string;
  readonly state: 'ok' | 'missing' | 'wrong' | 'optional';
  readonly found: string;
  /** Command that mends it. */
  readonly mend?: string;
}

type Check = (context: CommandContext) => Promise<Finding>;

const MIN_FREE_BYTES = 512 * 1024 ** 2;
const COMMAND_TIMEOUT_MS = 10_000;
const run = promisify(execFile);

/** Looks at everything that a data center needs. */
export async function examine(context: CommandContext): Promise<Finding[]> {
  const checks: readonly Check[] = [
    ...[node, packages, build, configuration, zookeeper],
    ...[loopback, diskSpace, stateFolder, buf, grpcurl, iproute2, nftables, running],
  ];
  return Promise.all(checks.map((check) => check(context)));
}

const node: Check = () => {
  const subject = 'Node.js';
  const found = `${process.version} at ${process.execPath}`;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const sound = major > 20 || (major === 20 && minor >= 9);
  return Promise.resolve(
    sound
      ? { subject, state: 'ok', found }
      : { subject, state: 'missing', found: `${found}, 20.9 is needed`, mend: 'nvm install 22' },
  );
};

const packages: Check = ({ places }) =>
  fileThere('npm packages', path.join(places.root, 'node_modules/.package-lock.json'), 'npm ci');

const build: Check = ({ places }) =>
  fileThere('build', path.join(places.root, 'dist/.built'), 'node build.mjs');

async function fileThere(subject: string, file: string, mend: string): Promise<Finding> {
  try {
    const { mtime } = await stat(file);
    return { subject, state: 'ok', found: `from ${mtime.toISOString()}` };
  } catch (error) {
    return { subject, state: 'missing', found: messageOf(error), mend };
  }
}

const configuration: Check = async (context) => {
  const subject = 'configuration';
  try {
    const { file } = await context.config();
    return { subject, state: 'ok', found: file };
  } catch (error) {
    const found = messageOf(error);
    if (error instanceof ConfigError)
      return { subject, state: 'wrong', found, mend: 'edit what the lines above name' };
    return { subject, state: 'missing', found, mend: './datacenter config show' };
  }
};

const zookeeper: Check = async () => {
  const subject = 'ZooKeeper';
  const installation = await Ensemble.find(zookeeperEnvironment());
  if (installation.ok)
    return { subject, state: 'ok', found: `${installation.classPath} with ${installation.java}` };
  const { missing, remedy } = installation;
  const found = `${missing} is missing; the embedded coordinator is used instead`;
  return { subject, state: 'optional', found, mend: remedy };
};

const loopback: Check = () =>
  new Promise((resolve) => {
    const subject = 'loopback';
    const server = createServer();
    server.once('error', (error) => {
      const mend = 'ip link set lo up';
      resolve({ subject, state: 'missing', found: `no port on 127.0.0.1: ${error.message}`, mend });
    });
    server.listen(0, '127.0.0.1', () => {
      server.close(() => {
        resolve({ subject, state: 'ok', found: 'ports on 127.0.0.1 can be had' });
      });
    });
  });

const diskSpace: Check = async ({ places }) => {
  const subject = 'disk space';
  const { bavail, bsize } = await statfs(places.root);
  const free = bavail * bsize;
  const found = `${String(Math.floor(free / 1024 ** 2))} MiB free`;
  if (free >= MIN_FREE_BYTES) return { subject, state: 'ok', found };
  const mend = `free some space beside ${places.root}`;
  return { subject, state: 'missing', found: `${found}, 512 MiB are needed`, mend };
};

const stateFolder: Check = async ({ places }) => {
  const subject = 'state folder';
  const { statePath } = places;
  const probe = path.join(statePath, `.write-${String(process.pid)}`);
  try {
    await makeFolder(statePath);
    await writeFile(probe, '');
    await rm(probe);
    return { subject, state: 'ok', found: `${statePath} can be written` };
  } catch (error) {
    const found = stateFolderProblem(error, statePath) ?? messageOf(error);
    const mend = ['EACCES', 'EPERM'].includes(systemCodeOf(error) ?? '')
      ? `sudo chown -R "$USER" ${statePath}, or FRACTORY_STATE=FOLDER for another`
      : 'FRACTORY_STATE=FOLDER names another';
    return { subject, state: 'missing', found, mend };
  }
};

const buf: Check = ({ places }) =>
  program('buf', path.join(places.root, 'node_modules/.bin/buf'), 'npm ci');

const grpcurl: Check = () =>
  program('grpcurl', 'grpcurl', 'https://github.com/fullstorydev/grpcurl, or npx buf curl instead');

const iproute2: Check = () =>
  program('iproute2', 'tc', 'apt-get install iproute2, for up --namespaces and tax', '-V');

const nftables: Check = () =>
  program('nftables', 'nft', 'apt-get install nftables, for ./datacenter chaos partition');

/** A program that helps people and that nothing here needs. */
async function program(
  subject: string,
  command: string,
  mend: string,
  versionOption = '--version',
): Promise<Finding> {
  try {
    const options = { timeout: COMMAND_TIMEOUT_MS, env: systemEnvironment() };
    const { stdout, stderr } = await run(command, [versionOption], options);
    return { subject, state: 'ok', found: (stdout + stderr).trim() };
  } catch (error) {
    const found = systemCodeOf(error) === 'ENOENT' ? 'not installed' : messageOf(error);
    return { subject, state: 'optional', found, mend };
  }
}

const running: Check = async ({ places }) => {
  const subject = 'data center';
  const found = await runState(places.statePath);
  if (found.state === 'none')
    return { subject, state: 'optional', found: 'none is running', mend: './datacenter up' };
  const { record } = found;
  const since = `pid ${String(record.launcher.pid)}, since ${record.startedAt}`;
  if (found.state === 'running')
    return { subject, state: 'ok', found: `${record.dataCenter} is ${record.phase} (${since})` };
  const killed = `its launcher was killed (${since})`;
  return { subject, state: 'optional', found: killed, mend: './datacenter down' };
};

/** In a folder that can't be used none runs: what is wrong with it another check says. */
async function runState(statePath: string): Promise<RunState> {
  try {
    return await new RunFile(statePath).read();
  } catch (error) {
    if (stateFolderFailure(error, statePath)) return { state: 'none' };
    throw error;
  }
}
