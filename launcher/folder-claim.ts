import { status } from '@grpc/grpc-js';

import type { DataCenterConfig } from '../config/data-center-config.js';
import { FractoryError } from '../runtime/errors.js';
import { removeLeftSocket } from './control/socket-path.js';
import { endProcesses } from './process-ending.js';
import { identify } from './process-identity.js';
import type { Reporter } from './reporter.js';
import { RunFile } from './run-file.js';
import type { RunRecord } from './run-file.js';
import { RunRecorder } from './run-recorder.js';

const LEFTOVER_GRACE_MS = 5000;
const MAX_ATTEMPTS = 5;
const ALREADY_RUNNING = 'ALREADY_RUNNING';

/** Takes the state folder for a data center of this process; ALREADY_EXISTS if one runs there. Cleans up after a killed launcher. */
export async function claimFolder(
  config: DataCenterConfig,
  options: { readonly detached: boolean; readonly reporter: Reporter },
): Promise<RunRecorder> {
  const runFile = new RunFile(config.places.statePath);
  const record = await firstRecord(config, options.detached);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    if (await runFile.create(record)) return new RunRecorder(runFile, record);
    const found = await runFile.read();
    if (found.state === 'running') throw alreadyRunning(found.record, config.places.statePath);
    if (found.state === 'stale') await cleanUp(runFile, found.record, options.reporter);
  }
  throw new FractoryError(
    status.ABORTED,
    'FOLDER_CONTESTED',
    `others are starting and stopping data centers in ${config.places.statePath} at the same time`,
  );
}

/** ALREADY_EXISTS if a data center runs in this folder: asked before anything of its own is touched. */
export async function refuseSecond(statePath: string): Promise<void> {
  const found = await new RunFile(statePath).read();
  if (found.state === 'running') throw alreadyRunning(found.record, statePath);
}

/** Whether a start failed because another data center runs in the folder. */
export function isSecond(error: unknown): boolean {
  return error instanceof FractoryError && error.reason === ALREADY_RUNNING;
}

/** Ends what a killed launcher left behind, and forgets its run. */
export async function cleanUp(
  runFile: RunFile,
  record: RunRecord,
  reporter: Reporter,
): Promise<void> {
  const ended = await endProcesses(record.processes, LEFTOVER_GRACE_MS);
  const rest = ended === 0 ? '' : `; stopped ${String(ended)} processes that it left behind`;
  // Somebody else may have cleaned up meanwhile, and run a data center of their own.
  const now = await runFile.read();
  if (now.state !== 'stale' || now.record.startedAt !== record.startedAt) return;
  reporter.note(`the launcher before (pid ${String(record.launcher.pid)}) was killed${rest}`);
  if (record.control !== undefined) await removeLeftSocket(record.control);
  await runFile.remove();
}

function alreadyRunning(record: RunRecord, statePath: string): FractoryError {
  return new FractoryError(
    status.ALREADY_EXISTS,
    ALREADY_RUNNING,
    `a data center is running already in ${statePath} (pid ${String(record.launcher.pid)}, since ` +
      `${record.startedAt}); ./datacenter status shows it, ./datacenter down stops it`,
  );
}

async function firstRecord(config: DataCenterConfig, detached: boolean): Promise<RunRecord> {
  const launcher = await identify(process.pid);
  if (!launcher) throw new Error(`process ${String(process.pid)} can't find itself`);
  return {
    launcher,
    phase: 'starting',
    detached,
    dataCenter: config.name,
    configFile: config.file,
    coordinator: '',
    startedAt: new Date().toISOString(),
    processes: [],
  };
}
