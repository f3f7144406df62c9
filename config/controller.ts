import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { section } from './fields.js';
import type { ControllerConfig, MemberNeed, PlannedNode } from './data-center-config.js';
import { builtFile } from './paths.js';
import type { Places } from './paths.js';
import type { Problem } from './problems.js';
import { controllerSection } from './sections.js';
import { foundText, readSection } from './values.js';
import type { EffectiveValue, RawSection, SectionSchema } from './values.js';

/** Finds the schema of a device's own keys; undefined: leave them unread. */
export type SettingsOf = (type: string, main: string) => Promise<SectionSchema | undefined>;

/** The `settings` beside the controller's main: what a device adds to its section, so that nobody else has to know it. */
export const settingsBeside: SettingsOf = async (_type, main) => {
  const file = path.join(path.dirname(main), `settings${path.extname(main)}`);
  if (!existsSync(file)) return section({});
  const module = (await import(pathToFileURL(file).href)) as { settings?: SectionSchema };
  return module.settings ?? section({});
};

/** What `needs` beside a device's `settings` says: members that these settings can't do without. */
type NeedsOf = (settings: unknown) => readonly MemberNeed[];

async function needsBeside(main: string, settings: unknown): Promise<readonly MemberNeed[]> {
  const file = path.join(path.dirname(main), `settings${path.extname(main)}`);
  if (settings === undefined || !existsSync(file)) return [];
  const module = (await import(pathToFileURL(file).href)) as { needs?: NeedsOf };
  return module.needs?.(settings) ?? [];
}

export interface ControllerSource {
  readonly name: string;
  readonly raw: RawSection;
  readonly listed: boolean;
  readonly places: Places;
  readonly environment: NodeJS.ProcessEnv;
  readonly settingsOf: SettingsOf;
}

export interface ControllerResult {
  readonly section: string;
  /** False: the device's own keys were left unread, or not all of them are right. */
  readonly complete: boolean;
  readonly controller: ControllerConfig | undefined;
  readonly problems: readonly Problem[];
  readonly values: readonly EffectiveValue[];
}

const ownKeys = Object.keys(controllerSection.shape);

/** Reads the section of one controller: the keys that all have, then the device's own. */
export async function readController(source: ControllerSource): Promise<ControllerResult> {
  const { name, raw, environment } = source;
  const common: Record<string, unknown> = {};
  for (const key of ownKeys) if (key in raw) common[key] = raw[key];
  const own = readSection(controllerSection, { section: name, raw: common, environment });
  if (!own.value) {
    // Without a path nobody knows the device's keys.
    const { problems, values } = own;
    return { section: name, complete: false, controller: undefined, problems, values };
  }
  const problems: Problem[] = [];
  const mains = mainsOf(source, own.value.paths_to_controller, problems);
  const main = mains[0] ?? '';
  const type = path.basename(path.dirname(main));
  const nodes = plan(source, own.value, { type, mains }, problems);
  const schema = problems.length === 0 ? await source.settingsOf(type, main) : undefined;
  const device =
    schema && readSection(schema, { section: name, raw, environment, foreign: ownKeys });
  problems.push(...(device?.problems ?? []));
  const { routing, verbose, zookeeper } = own.value;
  return {
    section: name,
    complete: device?.value !== undefined,
    controller: {
      section: name,
      type,
      listed: source.listed,
      nodes,
      main,
      routing,
      verbose,
      zookeeper,
      settings: device?.value,
      needs: await needsBeside(main, device?.value),
    },
    problems,
    values: [...own.values, ...(device?.values ?? [])],
  };
}

function mainsOf(
  source: ControllerSource,
  given: readonly string[],
  problems: Problem[],
): string[] {
  const mains = given.map((file) => builtFile(source.places.root, file));
  const wrong = (expected: string, found: string): void => {
    problems.push({ section: source.name, key: 'paths_to_controller', expected, found });
  };
  mains.forEach((file, index) => {
    if (!existsSync(file))
      wrong(
        'the main.ts of a controller, such as controllers/storage/main.ts',
        `${foundText(given[index])}, but there is no ${path.relative(source.places.root, file)}`,
      );
  });
  const types = new Set(mains.map((file) => path.basename(path.dirname(file))));
  if (types.size > 1) wrong('controllers of one device type', [...types].join(' and '));
  return mains;
}

function plan(
  source: ControllerSource,
  own: { readonly instances: number; readonly ports?: string[] | undefined },
  found: { readonly type: string; readonly mains: readonly string[] },
  problems: Problem[],
): PlannedNode[] {
  const count = found.mains.length * own.instances;
  const ports = (own.ports ?? []).map(Number);
  const sound = ports.every((port) => Number.isInteger(port) && port >= 0 && port <= 65_535);
  if (own.ports && (!sound || ports.length !== count))
    problems.push({
      section: source.name,
      key: 'ports',
      expected: `${String(count)} port(s) from 0 to 65535, one for each node (0 = any free one)`,
      found: own.ports.join(', '),
    });
  return Array.from({ length: count }, (_, index) => ({
    name: `${found.type}-${String(index + 1)}`,
    main: found.mains[index % found.mains.length] ?? '',
    port: ports[index] ?? 0,
  }));
}
