import { CommanderError } from 'commander';

import { ConfigError } from '../config/problems.js';
import { ExitCode, exitCodeOfFailure } from '../runtime/exit-codes.js';

export { ExitCode };

/** Ends the command with a code when everything that is to be said was said. */
export class ExitRequest extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${String(exitCode)}`);
    this.exitCode = exitCode;
  }
}

/** The exit code for anything that a command throws. */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof ExitRequest) return thrown.exitCode;
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
  if (thrown instanceof ConfigError) return ExitCode.usage;
  return exitCodeOfFailure(thrown);
}
