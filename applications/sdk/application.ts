import type { DataCenter, FinishedRun } from './data-center.js';
import type { OptionSpec, OptionValues } from './options.js';

/** What an application gets. */
export interface ApplicationContext<S extends Record<string, OptionSpec<unknown>>> {
  readonly options: OptionValues<S>;
  readonly dataCenter: DataCenter;
  /** Tells people what happens; goes to standard error. */
  readonly say: (line: string) => void;
}

/** What an application answers: shown as lines or, with `--json`, as one object. */
export interface ApplicationAnswer {
  /** Plain data; a bigint is shown as decimal text. */
  readonly answer: Readonly<Record<string, unknown>>;
  /** Runs whose waterfalls are shown. */
  readonly runs?: readonly FinishedRun<unknown>[];
}

export interface ApplicationDefinition<S extends Record<string, OptionSpec<unknown>>> {
  /** One line for `./datacenter apps`. */
  readonly summary: string;
  readonly options: S;
  /** Its runs outlive their application node, as with `--durable`. Default false. */
  readonly durable?: boolean;
  readonly run: (context: ApplicationContext<S>) => Promise<ApplicationAnswer>;
}

/** An application whatever its options are. */
export interface Application {
  readonly summary: string;
  readonly options: Readonly<Record<string, OptionSpec<unknown>>>;
  readonly durable?: boolean;
  readonly run: (context: {
    readonly options: Readonly<Record<string, unknown>>;
    readonly dataCenter: DataCenter;
    readonly say: (line: string) => void;
  }) => Promise<ApplicationAnswer>;
}

/** Defines an application; the file exports the result as `application`. */
export function defineApplication<S extends Record<string, OptionSpec<unknown>>>(
  definition: ApplicationDefinition<S>,
): Application {
  return {
    summary: definition.summary,
    options: definition.options,
    durable: definition.durable ?? false,
    run: ({ options, ...rest }) => definition.run({ ...rest, options: options as OptionValues<S> }),
  };
}
