import { mkdtemp, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';

const NAME = 'control.sock';
const FOLDER = 'fractory-control-';
/** What fits into `sockaddr_un.sun_path` with its final zero: 104 bytes on the BSDs and macOS, 108 on Linux. */
const MAX_PATH_BYTES = 103;

/** Where the launcher's socket is, and what takes it away. */
export interface SocketPlace {
  /** Absolute. */
  readonly file: string;
  /** Idempotent. */
  remove(): Promise<void>;
}

/**
 * A free place for the launcher's socket: in the state folder, or where the path of that is too long for a unix socket, in a folder of its own among
 * the temporary files. The caller owns the state folder: a socket that is there was left behind.
 */
export async function socketPlace(statePath: string): Promise<SocketPlace> {
  const file = path.join(statePath, NAME);
  if (Buffer.byteLength(file) <= MAX_PATH_BYTES) {
    await unlinkIfThere(file);
    return { file, remove: () => unlinkIfThere(file) };
  }
  // For its owner alone.
  const folder = await mkdtemp(path.join(tmpdir(), FOLDER));
  return {
    file: path.join(folder, NAME),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Removes the socket of a launcher that was killed; `file` as its run file has it. */
export async function removeLeftSocket(file: string): Promise<void> {
  if (path.basename(file) !== NAME) return;
  await unlinkIfThere(file);
  const folder = path.dirname(file);
  if (path.basename(folder).startsWith(FOLDER)) await rm(folder, { recursive: true, force: true });
}

async function unlinkIfThere(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
