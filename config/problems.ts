import { status } from '@grpc/grpc-js';

import { FractoryError } from '../runtime/errors.js';

/** Something in the configuration that can't be right. */
export interface Problem {
  readonly section: string;
  /** Empty where the whole section is meant. */
  readonly key: string;
  readonly expected: string;
  readonly found: string;
  /** The word that was probably meant. */
  readonly suggestion?: string | undefined;
  /** Said instead of what was expected and found, where that would be no sentence. */
  readonly statement?: string;
  /** The environment variable that it stands in, where it is not in the file. */
  readonly variable?: string;
  /** What mends it, where that is more than writing what was expected. */
  readonly remedy?: string;
}

/** Everything that is wrong with the configuration, at once. */
export class ConfigError extends FractoryError {
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    const count = `${String(problems.length)} problem${problems.length === 1 ? '' : 's'}`;
    super(
      status.INVALID_ARGUMENT,
      'BAD_CONFIG',
      [
        `${placeOf(file, problems)} has ${count}:`,
        ...problems.map((problem) => `  ${describe(problem)}`),
      ].join('\n'),
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** The file, unless it has none of them. */
function placeOf(file: string, problems: readonly Problem[]): string {
  const isFile = problems.some(({ variable }) => variable === undefined);
  return isFile ? file : 'the configuration in the environment';
}

function describe(problem: Problem): string {
  const { section, key, expected, found, suggestion, statement, remedy } = problem;
  const place = [section && `[${section}]`, key].filter((part) => part !== '').join(' ');
  const what = statement ?? `expected ${expected}, found ${found}`;
  const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`;
  return `${place}: ${what}${hint}${remedy === undefined ? '' : `; ${remedy}`}`;
}
