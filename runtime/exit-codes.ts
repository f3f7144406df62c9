import { status } from '@grpc/grpc-js';

import { FractoryError } from './errors.js';

/** How a command ends; documented in its `--help`. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unreachable: 5,
  interrupted: 130,
} as const;

/**
 * The exit code of a command whose run failed. That a step calls its arguments wrong or was cancelled is a failure of the run, not of the command
 * line or of who typed it; what is not found and what takes too long is the same wherever it happens.
 */
export function exitCodeOfRun(error: FractoryError): number {
  const code: number = exitCodeOfFailure(error);
  const isOfCommand = code === ExitCode.usage || code === ExitCode.interrupted;
  return isOfCommand && error.metadata['step'] ? ExitCode.failed : code;
}

/** The exit code of a command that failed with this. */
export function exitCodeOfFailure(thrown: unknown): number {
  if (!(thrown instanceof FractoryError)) return ExitCode.failed;
  switch (thrown.code) {
    case status.INVALID_ARGUMENT:
      return ExitCode.usage;
    case status.NOT_FOUND:
      return ExitCode.notFound;
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return ExitCode.unreachable;
    case status.CANCELLED:
      return ExitCode.interrupted;
    default:
      return ExitCode.failed;
  }
}
