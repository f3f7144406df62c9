import { status } from '@grpc/grpc-js';

import { FractoryError, systemCodeOf } from '../../runtime/errors.js';

/** What the operating system said of a local file or folder, as one line for people; anything else stays what it is. */
export function localFileProblem(thrown: unknown, path: string): unknown {
  switch (systemCodeOf(thrown)) {
    case 'ENOENT':
      return new FractoryError(
        status.NOT_FOUND,
        'FILE_NOT_FOUND',
        `there is no local file or folder ${path}`,
      );
    case 'EISDIR':
      return new FractoryError(status.INVALID_ARGUMENT, 'NOT_A_FILE', `${path} is a folder`);
    case 'ENOTDIR':
      return new FractoryError(status.INVALID_ARGUMENT, 'NOT_A_FOLDER', `${path} is no folder`);
    case 'EACCES':
      return new FractoryError(
        status.PERMISSION_DENIED,
        'NOT_READABLE',
        `${path} may not be read by this user`,
      );
    default:
      return thrown;
  }
}
