import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';

import { parseDuration } from '../launcher/chaos/duration.js';

/** What can't be done as asked, in one line for people. */
export class BadFlag extends Error {}

/** Exit code of a program whose flags are wrong, as of `./datacenter`. */
const USAGE = 2;

type Options = NonNullable<ParseArgsConfig['options']>;

/** Reads flags, and words where `takesWords`. Throws a BadFlag. */
export function parsedFlags<const T extends Options>(
  argv: readonly string[],
  options: T,
  takesWords = false,
) {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: takesWords });
  } catch (error) {
    const [line = ''] = (error as Error).message.split(/\.? To specify|\. This command|\n/);
    throw new BadFlag(line.charAt(0).toLowerCase() + line.slice(1));
  }
}

/**
 * What `read` makes of the command line of this process. Where it throws a BadFlag the process ends with its line and 2, and at `--help`
 * with `help` on standard output and 0.
 */
export function askedOf<T>(help: string, read: (argv: readonly string[]) => T): T {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(help);
    process.exit(0);
  }
  try {
    return read(argv);
  } catch (error) {
    if (!(error instanceof BadFlag)) throw error;
    console.error(`error: ${error.message} (--help shows what there is)`);
    process.exit(USAGE);
  }
}

/** A whole number of a flag. */
export function wholeOf(
  name: string,
  value: string | undefined,
  [least, most]: readonly [number, number],
  usual: number,
): number {
  if (value === undefined) return usual;
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new BadFlag(
    `${name} ${value} is not a whole number from ${String(least)} to ${String(most)}`,
  );
}

/** A time of a flag, ms. */
export function timeOf(name: string, value: string): number {
  const ms = parseDuration(value);
  if (ms !== undefined) return ms;
  throw new BadFlag(`${name} ${value} is not a time such as 500ms, 8s or 2m`);
}

/** The greatest seed. */
export const MOST_SEED = 2 ** 32 - 1;
