import { access, constants, stat } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError, systemCodeOf } from '../../runtime/errors.js';

/** Throws INVALID_ARGUMENT where a picture can't be written to this absolute path. Makes nothing. */
export async function checkPictureFile(file: string): Promise<void> {
  const folder = path.dirname(file);
  if (!(await isFolder(folder))) throw refused(file, `there is no folder ${folder}`);
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere && (await isFolder(file))) throw refused(file, 'it is a folder');
  const target = isThere ? file : folder;
  try {
    await access(target, constants.W_OK);
  } catch (error) {
    throw refused(file, `${target} can't be written (${systemCodeOf(error) ?? 'no access'})`);
  }
}

async function isFolder(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCodeOf(error) ?? '')) return false;
    throw error;
  }
}

function refused(file: string, why: string): FractoryError {
  return new FractoryError(
    status.INVALID_ARGUMENT,
    'PICTURE_REFUSED',
    `the picture can't be ${file}: ${why}`,
  );
}
