import { invalidArgument } from '../../runtime/errors.js';

/** One option of an application: `--name value`. */
export interface OptionSpec<T> {
  readonly summary: string;
  /** What stands for the value in the help: `integer`, `file`, ... */
  readonly placeholder: string;
  /** Absent: the option must be given, or (`isOptional`) may be missing. */
  readonly defaultText?: string;
  readonly isOptional: boolean;
  /** Throws INVALID_ARGUMENT with what was expected. */
  readonly read: (text: string, name: string) => T;
}

export interface OptionSettings {
  /** Used where the option is not given; as it would be typed. */
  readonly default?: string;
}

type Reader<T> = (text: string, name: string) => T;

function spec<T>(
  summary: string,
  placeholder: string,
  settings: OptionSettings,
  read: Reader<T>,
): OptionSpec<T> {
  const base = { summary, placeholder, isOptional: false, read };
  return settings.default === undefined ? base : { ...base, defaultText: settings.default };
}

/** A whole number of any size. */
export function integer(summary: string, settings: OptionSettings = {}): OptionSpec<bigint> {
  return spec(summary, 'integer', settings, (text, name) => {
    if (/^-?\d+$/.test(text)) return BigInt(text);
    throw invalidArgument(`--${name}`, `expected a whole number, found ${JSON.stringify(text)}`);
  });
}

/** Text. */
export function text(summary: string, settings: OptionSettings = {}): OptionSpec<string> {
  return spec(summary, 'text', settings, (given) => given);
}

/** The path of a local file. */
export function file(summary: string, settings: OptionSettings = {}): OptionSpec<string> {
  return spec(summary, 'file', settings, (given) => given);
}

/** The same option, but it may be missing: then it is undefined. */
export function optional<T>(option: OptionSpec<T>): OptionSpec<T | undefined> {
  return { ...option, isOptional: true };
}

/** Values of options as an application sees them. */
export type OptionValues<S extends Record<string, OptionSpec<unknown>>> = {
  readonly [K in keyof S]: S[K] extends OptionSpec<infer T> ? T : never;
};
