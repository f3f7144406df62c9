import { readFile } from 'node:fs/promises';

import type { AgentOptions } from '../../gossip/agent/agent.js';
import type { Endpoint } from '../../gossip/core/member.js';
import { profiles } from '../../gossip/core/profile.js';
import type { ProfileName } from '../../gossip/core/profile.js';
import { DEFAULT_PORT } from '../../gossip/memberlist-options.js';
import { addressText, endpointText, parseEndpoint } from '../../gossip/net/address.js';
import type { Tags } from '../../gossip/serf/tags.js';
import { KeyringFile } from '../../gossip/serf/keyring-file.js';
import { KEY_BYTES, Keyring } from '../../gossip/wire/keyring.js';
import { invalidArgument, messageOf, systemCodeOf } from '../../runtime/errors.js';

/** What the command line says. */
export interface GossipFlags {
  readonly name?: string;
  readonly bind: string;
  readonly advertise?: string;
  readonly join?: string;
  readonly http: string;
  readonly token?: string;
  readonly profile: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly keyring?: string;
  readonly plain?: boolean;
  readonly label?: string;
  readonly tag: readonly string[];
}

/** An agent to start. */
export interface AgentPlan {
  readonly agent: AgentOptions;
  /** The file of the keyring isn't there yet: it is to be made. */
  readonly makesKeyring: boolean;
  readonly join: readonly string[];
  readonly http: { readonly host: string; readonly port: number; readonly token: string };
}

const MIN_TOKEN = 16;

/** Checks all that the command line says, before anything is opened. INVALID_ARGUMENT tells what is wrong. */
export async function planAgent(flags: GossipFlags, hostName: string): Promise<AgentPlan> {
  const { advertise, label } = flags;
  const bind = endpointOf('--bind', flags.bind, DEFAULT_PORT);
  const { keyring, isNew } = await keyringOf(flags);
  const host = textOf(bind.address);
  if (keyring && flags.plain)
    throw invalidArgument('--plain', 'and keys are both given: with keys nothing is plain');
  if (!keyring && !flags.plain && !isLoopback(host))
    throw invalidArgument(
      '--bind',
      `${host} is reached from outside: give --key, --key-file or --keyring, or --plain where anybody may say anything`,
    );
  return {
    agent: {
      ...{ name: flags.name ?? hostName, bind: host, port: bind.port },
      ...{ profile: profiles[profileOf(flags.profile)], tags: tagsOf(flags.tag) },
      ...(keyring ? { keyring } : {}),
      ...(label === undefined ? {} : { label }),
      ...(advertise === undefined
        ? advertiseFor(host)
        : { advertise: endpointText(reachedAt('--advertise', advertise, bind.port)) }),
    },
    makesKeyring: isNew,
    join: joinsOf(flags.join),
    http: httpOf(flags),
  };
}

function profileOf(name: string): ProfileName {
  if (Object.hasOwn(profiles, name)) return name as ProfileName;
  throw invalidArgument('--profile', `is ${name}, expected ${Object.keys(profiles).join(', ')}`);
}

/** Nobody is reached at "any address". */
function advertiseFor(host: string): Record<string, never> {
  if (host !== '0.0.0.0' && host !== '0:0:0:0:0:0:0:0') return {};
  throw invalidArgument('--advertise', `is needed with --bind ${host}: where do others reach it?`);
}

interface PlannedKeyring {
  readonly keyring?: Keyring;
  readonly isNew: boolean;
}

/** As Serf has it, what the keyring's file has goes before what is given: so both are refused, unless they say the same. */
async function keyringOf(flags: GossipFlags): Promise<PlannedKeyring> {
  const { given, flag } = await givenKeys(flags);
  if (flags.keyring === undefined)
    return given ? { keyring: new Keyring(given), isNew: false } : { isNew: false };
  const file = new KeyringFile(flags.keyring);
  const kept = await file.read();
  const keys = kept ?? given;
  if (!keys) {
    const why = `${flags.keyring} does not exist: give it its first key with --key`;
    throw invalidArgument('--keyring', why);
  }
  if (kept && given && !isSame(kept, given)) {
    const why = `differs from what is in ${file.path}: leave ${flag} out, or remove that file`;
    throw invalidArgument(flag, why);
  }
  return { keyring: new Keyring(keys, file.keep), isNew: kept === undefined };
}

function isSame(some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean {
  return some.length === others.length && some.every((key, at) => sameBytes(key, others[at]));
}

function sameBytes(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && Buffer.compare(one, other) === 0;
}

async function givenKeys({
  key,
  keyFile,
}: GossipFlags): Promise<{ given: readonly Buffer[] | undefined; flag: string }> {
  if (key !== undefined && keyFile !== undefined)
    throw invalidArgument('--key', 'and --key-file are both given');
  if (keyFile === undefined)
    return { given: key === undefined ? undefined : keysIn('--key', key), flag: '--key' };
  let text: string;
  try {
    text = await readFile(keyFile, 'utf8');
  } catch (error) {
    const why =
      systemCodeOf(error) === 'ENOENT' ? 'does not exist' : `can't be read: ${messageOf(error)}`;
    throw invalidArgument('--key-file', `${keyFile} ${why}`);
  }
  return { given: keysIn('--key-file', text), flag: '--key-file' };
}

/** Base64, as Serf has them; the first one encrypts. */
function keysIn(flag: string, text: string): Buffer[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) throw invalidArgument(flag, 'has no key; serf keygen makes one');
  if (!words.every((word) => /^[A-Za-z0-9+/]+={0,2}$/.test(word)))
    throw invalidArgument(flag, 'is not base64; serf keygen makes one');
  return words.map((word) => {
    const key = Buffer.from(word, 'base64');
    if (KEY_BYTES.has(key.length)) return key;
    const bytes = `${String(key.length)} bytes, expected 16, 24 or 32`;
    throw invalidArgument(flag, `has a key of ${bytes}; serf keygen makes one`);
  });
}

function tagsOf(given: readonly string[]): Tags {
  const tags = new Map<string, string>();
  for (const tag of given) {
    const at = tag.indexOf('=');
    if (at < 1) throw invalidArgument('--tag', `is ${JSON.stringify(tag)}, expected KEY=VALUE`);
    tags.set(tag.slice(0, at), tag.slice(at + 1));
  }
  return Object.fromEntries(tags);
}

function joinsOf(text: string | undefined): string[] {
  if (text === undefined) return [];
  const addresses = text.split(',').filter((one) => one.trim() !== '');
  if (addresses.length === 0) throw invalidArgument('--join', 'names nobody');
  return addresses.map((one) => endpointText(reachedAt('--join', one, DEFAULT_PORT)));
}

/** Where somebody is reached: port 0 is none. */
function reachedAt(flag: string, text: string, defaultPort: number): Endpoint {
  const endpoint = endpointOf(flag, text, defaultPort);
  if (endpoint.port > 0 || defaultPort === 0) return endpoint;
  throw invalidArgument(flag, `is ${JSON.stringify(text)}: nobody is reached at port 0`);
}

function httpOf({ http, token = '' }: GossipFlags): AgentPlan['http'] {
  const { address, port } = endpointOf('--http', http, 0);
  const host = textOf(address);
  if (token !== '' && token.length < MIN_TOKEN)
    throw invalidArgument(
      '--token',
      `has ${String(token.length)} characters, at least ${String(MIN_TOKEN)}`,
    );
  if (token === '' && !isLoopback(host))
    throw invalidArgument('--http', `${host} is reached from outside: give a --token`);
  return { host, port, token };
}

/** Names are not looked up: members know each other by addresses. */
function endpointOf(flag: string, text: string, defaultPort: number): Endpoint {
  try {
    return parseEndpoint(text, defaultPort);
  } catch {
    throw invalidArgument(
      flag,
      `is ${JSON.stringify(text)}, expected IP-ADDRESS:PORT, the port up to 65535`,
    );
  }
}

function textOf(address: Uint8Array): string {
  return addressText(address) ?? '';
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '0:0:0:0:0:0:0:1';
}
