import path from 'node:path';
import type { z } from 'zod';

import { closest } from '../runtime/suggestion.js';
import { checkControllers, checkZooKeeper, zookeeperFrom } from './cross-checks.js';
import { readController, settingsBeside } from './controller.js';
import type { SettingsOf } from './controller.js';
import type { ControllerConfig, DataCenterConfig } from './data-center-config.js';
import { gossipFrom } from './gossip.js';
import { readIniFile } from './ini-file.js';
import type { IniFile } from './ini-file.js';
import { placesFrom, resolvePath } from './paths.js';
import type { Places } from './paths.js';
import type { GossipConfig, SecurityConfig } from './node-config.js';
import { ConfigError } from './problems.js';
import type { Problem } from './problems.js';
import { sections } from './sections.js';
import { isPrivateNetwork, PRIVATE_NETWORK_VARIABLE } from './private-network.js';
import { isLoopback, securityFrom } from './security.js';
import { foundText, readSection, variableOf } from './values.js';
import type {
  EffectiveValue,
  RawSection,
  SectionResult,
  SectionSchema,
  SectionSource,
} from './values.js';

const DEFAULT_FILE = 'config/data_center.ini';

export interface LoadOptions {
  /** Default: FRACTORY_CONFIG, then `config/data_center.ini`. Relative to the working folder. */
  readonly file?: string | undefined;
  /** Default: that of the process. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Default: where the product is installed. */
  readonly root?: string;
  /** Default: `settings` beside each controller's main. */
  readonly settingsOf?: SettingsOf;
}

/** Reads the ini file; throws a ConfigError with everything that is wrong in it. */
export async function loadConfig(options: LoadOptions = {}): Promise<DataCenterConfig> {
  const environment = options.environment ?? process.env;
  const places = placesFrom(environment, options.root);
  const given = options.file ?? environment['FRACTORY_CONFIG'];
  const file = given === undefined ? path.join(places.root, DEFAULT_FILE) : path.resolve(given);
  const ini = await readIniFile(file);
  const reading = startReading(ini, places, environment);
  await read(reading, options.settingsOf ?? settingsBeside);
  if (reading.problems.length > 0) throw new ConfigError(file, reading.problems);
  return configFrom(file, reading);
}

/** One pass over a file: gathers values and problems. */
interface Reading {
  readonly fixed: SoundSections;
  readonly controllers: ControllerConfig[];
  security: SecurityConfig;
  gossip: GossipConfig | undefined;
  readonly ini: IniFile;
  readonly places: Places;
  readonly environment: NodeJS.ProcessEnv;
  readonly problems: Problem[];
  readonly values: EffectiveValue[];
  /** Sections whose keys aren't all known here. */
  readonly unread: Set<string>;
}

async function read(reading: Reading, settingsOf: SettingsOf): Promise<void> {
  const { places, problems, fixed, environment } = reading;
  checkSections(reading);
  await readControllers(reading, fixed.Controllers.controller_names ?? [], settingsOf);
  checkVariables(reading);
  checkControllers(reading.controllers, problems);
  const address = fixed.DataCenter.grpc_ip;
  const hidden = address === undefined || isLoopback(address) || isPrivateNetwork(environment);
  const exposed = hidden ? undefined : address;
  reading.security = securityFrom(fixed.Security, exposed, places, problems);
  reading.gossip = gossipFrom(fixed.Gossip, places, problems);
  checkZooKeeper(fixed.ZooKeeper, problems);
}

/** Call it only where there are no problems: then all keys are there. */
function configFrom(file: string, reading: Reading): DataCenterConfig {
  const fixed = reading.fixed as { [N in keyof Fixed]: z.output<Fixed[N]> };
  const { places, controllers, security, gossip, values } = reading;
  return {
    file,
    places,
    name: fixed.DataCenter.name,
    grpcIp: fixed.DataCenter.grpc_ip,
    storagePath: resolvePath(places, fixed.DataCenter.storage_path),
    zookeeper: zookeeperFrom(fixed.ZooKeeper, controllers),
    security,
    gossip,
    limits: fixed.Limits,
    otlpEndpoint: fixed.Telemetry.otlp_endpoint,
    controllers,
    values,
  };
}

type Fixed = typeof sections;
/** What is right in the sections that every file has. */
type SoundSections = { readonly [N in keyof Fixed]: Partial<z.output<Fixed[N]>> };

function readFixed(reading: Omit<Reading, 'fixed'>): SoundSections {
  const one = <S extends SectionSchema>(name: string, schema: S): Partial<z.output<S>> =>
    take(reading, name, readSection(schema, sourceOf(reading, name)));
  return {
    DataCenter: one('DataCenter', sections.DataCenter),
    ZooKeeper: one('ZooKeeper', sections.ZooKeeper),
    Security: one('Security', sections.Security),
    Gossip: one('Gossip', sections.Gossip),
    Limits: one('Limits', sections.Limits),
    Telemetry: one('Telemetry', sections.Telemetry),
    Controllers: one('Controllers', sections.Controllers),
  };
}

function startReading(ini: IniFile, places: Places, environment: NodeJS.ProcessEnv): Reading {
  const reading = {
    ini,
    places,
    environment,
    problems: [...ini.problems],
    values: [],
    unread: new Set<string>(),
    controllers: [],
    security: { mode: 'open' as const },
    gossip: undefined,
  };
  return Object.assign(reading, { fixed: readFixed(reading) });
}

function sourceOf(reading: Omit<Reading, 'fixed'>, section: string): SectionSource {
  const raw = reading.ini.sections.get(section) ?? {};
  return { section, raw, environment: reading.environment };
}

function take<T>(
  reading: Omit<Reading, 'fixed'>,
  section: string,
  result: SectionResult<T>,
): Partial<T> {
  reading.problems.push(...result.problems);
  reading.values.push(...result.values);
  if (result.problems.length > 0) reading.unread.add(section);
  return result.sound;
}

/** A section is known, or describes a controller. */
function checkSections({ ini, problems }: Reading): void {
  const known = Object.keys(sections);
  for (const [name, raw] of ini.sections) {
    if (known.includes(name) || isController(name, raw)) continue;
    problems.push({
      section: name,
      key: '',
      expected: `a known section (${known.join(', ')}) or that of a controller (NAME_controller)`,
      found: 'an unknown section',
      suggestion: closest(name, known),
    });
  }
}

function isController(name: string, raw: RawSection): boolean {
  return name.endsWith('_controller') || 'paths_to_controller' in raw;
}

async function readControllers(
  reading: Reading,
  names: readonly string[],
  settingsOf: SettingsOf,
): Promise<void> {
  const { ini, problems, places, environment } = reading;
  const described = [...ini.sections].filter(([name, raw]) => isController(name, raw));
  const known = described.map(([name]) => name);
  for (const name of names)
    if (!known.includes(name))
      problems.push({
        section: 'Controllers',
        key: 'controller_names',
        expected:
          known.length > 0
            ? `names of sections: ${known.join(', ')}`
            : `a section [${name}] in the file, which has none of a controller`,
        found: foundText(name),
        suggestion: closest(name, known),
      });
  const results = await Promise.all(
    described.map(([name, raw]) =>
      readController({
        name,
        raw,
        listed: names.includes(name),
        places,
        environment,
        settingsOf,
      }),
    ),
  );
  for (const result of results) {
    reading.problems.push(...result.problems);
    reading.values.push(...result.values);
    if (!result.complete) reading.unread.add(result.section);
    if (result.controller) reading.controllers.push(result.controller);
  }
}

/** Variables of ours that set no key: where things are, and what the launcher tells nodes and applications. */
const OTHER_VARIABLES: readonly string[] = [
  ...['FRACTORY_CONFIG', 'FRACTORY_STATE', 'FRACTORY_COORDINATOR', 'FRACTORY_SECRET'],
  ...['FRACTORY_SUPERVISED', 'FRACTORY_CREDENTIALS', 'FRACTORY_TEST_SEED'],
  PRIVATE_NETWORK_VARIABLE,
];

/** A variable that looks like one of ours but is none is a mistake too. */
function checkVariables({ ini, environment, values, problems, unread }: Reading): void {
  const known = new Set([...values.map((value) => value.variable), ...OTHER_VARIABLES]);
  const fixed = Object.entries(sections).flatMap(([name, schema]) =>
    Object.keys(schema.shape).map((key) => variableOf(name, key)),
  );
  const names = [...Object.keys(sections), ...ini.sections.keys()];
  for (const variable of Object.keys(environment).sort()) {
    if (!variable.startsWith('FRACTORY_') || known.has(variable)) continue;
    const name = names.find((section) => variable.startsWith(variableOf(section, '')));
    if (name !== undefined && unread.has(name)) continue;
    problems.push({
      section: name ?? '',
      key: variable,
      variable,
      expected: 'a variable of the form FRACTORY_SECTION_KEY',
      found: foundText(environment[variable]),
      statement: 'unknown environment variable',
      suggestion: closest(variable, [...known, ...fixed]),
      remedy: 'FRACTORY_SECTION_KEY sets a key; unset it, or correct its name',
    });
  }
}
