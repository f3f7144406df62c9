import type { z } from 'zod';

import { closest } from '../runtime/suggestion.js';
import { isSecret } from './fields.js';
import type { Problem } from './problems.js';

/** Where a value came from. */
export type Origin = 'file' | 'environment' | 'default';

/** One key of the configuration as it is in force. */
export interface EffectiveValue {
  readonly section: string;
  readonly key: string;
  readonly value: unknown;
  readonly origin: Origin;
  /** Environment variable that sets it. */
  readonly variable: string;
}

/** Keys and values of one section as they were written. */
export type RawSection = Readonly<Record<string, unknown>>;

/** A set of keys, as `section()` makes it. */
export type SectionSchema = z.ZodType & { readonly shape?: Readonly<Record<string, z.ZodType>> };

/** Environment variable that overrides a key: FRACTORY_ZOOKEEPER_SERVERS. */
export function variableOf(section: string, key: string): string {
  return `FRACTORY_${section}_${key}`.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_');
}

export interface SectionSource {
  readonly section: string;
  readonly raw: RawSection;
  readonly environment: NodeJS.ProcessEnv;
  /** Keys that someone else reads. */
  readonly foreign?: readonly string[];
}

/** What became of one section: the value only if nothing in it is wrong. */
export interface SectionResult<T> {
  readonly value: T | undefined;
  /** The keys that are right, also where others are wrong: for checks across keys. */
  readonly sound: Partial<T>;
  readonly problems: readonly Problem[];
  readonly values: readonly EffectiveValue[];
}

/** Reads one section: environment over file over default; all that is wrong with it. */
export function readSection<S extends SectionSchema>(
  schema: S,
  source: SectionSource,
): SectionResult<z.output<S>> {
  const keys = Object.keys(schema.shape ?? {});
  const foreign = new Set(source.foreign ?? []);
  const given: Record<string, unknown> = {};
  const fromEnvironment = new Set<string>();
  for (const [key, value] of Object.entries(source.raw)) if (!foreign.has(key)) given[key] = value;
  for (const key of keys) {
    const override = source.environment[variableOf(source.section, key)];
    if (override === undefined) continue;
    given[key] = override;
    fromEnvironment.add(key);
  }
  const result = schema.safeParse(given);
  const secrets = new Set(keys.filter((key) => isSecret(schema.shape?.[key])));
  const context = { source, given, fromEnvironment, known: [...keys, ...foreign], secrets };
  if (!result.success)
    return {
      value: undefined,
      sound: soundKeys(schema, given) as Partial<z.output<S>>,
      problems: result.error.issues.flatMap((issue) => problemsOf(issue, context)),
      values: [],
    };
  const parsed = result.data as Readonly<Record<string, unknown>>;
  const values = keys.map((key): EffectiveValue => {
    const origin = fromEnvironment.has(key) ? 'environment' : key in given ? 'file' : 'default';
    return {
      section: source.section,
      key,
      value:
        origin === 'default'
          ? (parsed[key] ?? null)
          : isSecret(schema.shape?.[key])
            ? HIDDEN
            : given[key],
      origin,
      variable: variableOf(source.section, key),
    };
  });
  return { value: result.data, sound: result.data, problems: [], values };
}

function soundKeys(schema: SectionSchema, given: RawSection): Record<string, unknown> {
  const sound: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(schema.shape ?? {})) {
    const result = field.safeParse(given[key]);
    if (result.success) sound[key] = result.data;
  }
  return sound;
}

interface IssueContext {
  readonly source: SectionSource;
  readonly given: RawSection;
  readonly fromEnvironment: ReadonlySet<string>;
  readonly known: readonly string[];
  /** Keys whose values nobody is to see. */
  readonly secrets: ReadonlySet<string>;
}

/** Shown instead of a secret. */
const HIDDEN = '(hidden)';

function problemsOf(issue: z.core.$ZodIssue, context: IssueContext): Problem[] {
  const { source, given, known } = context;
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      section: source.section,
      key,
      expected: `one of the keys ${known.join(', ')}`,
      found: foundText(given[key]),
      statement: 'unknown key',
      suggestion: closest(key, known),
      remedy: `the keys here are ${known.join(', ')}`,
    }));
  const key = issue.path.map(String).join('.');
  const expected = issue.message.replace(/^expected /, '');
  const found = context.secrets.has(key) ? HIDDEN : foundText(given[key]);
  const variable = context.fromEnvironment.has(key) && variableOf(source.section, key);
  const where = variable ? ` in ${variable}` : '';
  const problem = { section: source.section, key, expected, found: found + where };
  return [variable ? { ...problem, variable } : problem];
}

/** A value as people wrote it. */
export function foundText(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
