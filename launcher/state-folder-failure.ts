import { status } from '@grpc/grpc-js';

import { FractoryError, systemCodeOf } from '../runtime/errors.js';

/** What the operating system's refusals mean for people. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOTDIR', 'is a file or below one, not a folder'],
  ['EEXIST', 'is a file, not a folder'],
  ['ENOENT', "can't be made there"],
  ['EACCES', 'is not yours to read and write'],
  ['EPERM', 'is not yours to read and write'],
  ['EROFS', 'is on a file system that is only read'],
  ['ELOOP', 'is a link in a circle'],
  ['ENAMETOOLONG', 'is longer than a path may be'],
  ['ENOSPC', 'is on a full file system'],
  ['EDQUOT', 'is on a full file system'],
]);
/** No wrong setting, but a failure. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

/**
 * What is wrong with the state folder and what to do, in one line, if that is what a command failed of; undefined otherwise. Everything that a command
 * does there may find it out: so it is told at the end and for all of them, not asked before by each.
 */
export function stateFolderFailure(thrown: unknown, statePath: string): FractoryError | undefined {
  const problem = stateFolderProblem(thrown, statePath);
  if (problem === undefined) return undefined;
  const text = `${problem}; FRACTORY_STATE=FOLDER names another`;
  const isFull = FULL.has(systemCodeOf(thrown) ?? '');
  const kind = isFull ? status.RESOURCE_EXHAUSTED : status.INVALID_ARGUMENT;
  return new FractoryError(kind, 'STATE_FOLDER_UNUSABLE', text, { cause: thrown });
}

/** The same without what to do. */
export function stateFolderProblem(thrown: unknown, statePath: string): string | undefined {
  const code = systemCodeOf(thrown) ?? '';
  const reason = REASONS.get(code);
  if (reason === undefined || !isSystemError(thrown) || !concerns(thrown, statePath))
    return undefined;
  // What is gone of a folder that is there is another failure.
  if (['ENOENT', 'EEXIST'].includes(code) && thrown.syscall !== 'mkdir') return undefined;
  const which = thrown.path === statePath ? 'it' : thrown.path;
  return `the state folder ${statePath} can't be used: ${which} ${reason} (${code})`;
}

interface SystemError {
  readonly path: string;
  readonly syscall: string;
}

function isSystemError(thrown: unknown): thrown is SystemError {
  const { path, syscall } = thrown as Partial<SystemError>;
  return typeof path === 'string' && typeof syscall === 'string';
}

/** In the folder, or above it where it was to be made. */
function concerns({ path, syscall }: SystemError, statePath: string): boolean {
  if (`${path}/`.startsWith(`${statePath}/`)) return true;
  return syscall === 'mkdir' && `${statePath}/`.startsWith(`${path}/`);
}
