import { readFile } from 'node:fs/promises';

import type { AgentOptions } from '../../gossip/agent/agent.js';
import type { Endpoint } from '../../gossip/core/member.js';
import { profiles } from '../../gossip/core/profile.js';
import type { ProfileName } from '../../gossip/core/profile.js';
import { DEFAULT_PORT } from '../../gossip/memberlist.js';
import { addressText, endpointText, parseEndpoint } from '../../gossip/net/address.js';
import type { Tags } from '../../gossip/serf/tags.js';
import { Keyring } from '../../gossip/wire/keyring.js';
import { invalidArgument, messageOf } from '../../runtime/errors.js';

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
  readonly plain?: boolean;
  readonly label?: string;
  readonly tag: readonly string[];
}

/** An agent to start. */
export interface AgentPlan {
  readonly agent: AgentOptions;
  readonly join: readonly string[];
  readonly http: { readonly host: string; readonly port: number; readonly token: string };
}

const MIN_TOKEN = 16;

/** Checks all that the command line says, before anything is opened. INVALID_ARGUMENT tells what is wrong. */
export async function planAgent(flags: GossipFlags, hostName: string): Promise<AgentPlan> {
  const { advertise, label } = flags;
  const bind = endpointOf('--bind', flags.bind, DEFAULT_PORT);
  const keyring = await keyringOf(flags);
  const host = textOf(bind.address);
  if (!keyring && !flags.plain && !isLoopback(host))
    throw invalidArgument(
      '--bind',
      `${host} is reached from outside: give --key or --key-file, or --plain where anybody may say anything`,
    );
  return {
    agent: {
      ...{ name: flags.name ?? hostName, bind: host, port: bind.port },
      ...{ profile: profiles[profileOf(flags.profile)], tags: tagsOf(flags.tag) },
      ...(keyring ? { keyring } : {}),
      ...(label === undefined ? {} : { label }),
      ...(advertise === undefined
        ? advertiseFor(host)
        : { advertise: endpointText(endpointOf('--advertise', advertise, bind.port)) }),
    },
    join: joinsOf(flags.join),
    http: httpOf(flags),
  };
}

function profileOf(name: string): ProfileName {
  if (name in profiles) return name as ProfileName;
  throw invalidArgument('--profile', `is ${name}, expected ${Object.keys(profiles).join(', ')}`);
}

/** Nobody is reached at "any address". */
function advertiseFor(host: string): Record<string, never> {
  if (host !== '0.0.0.0' && host !== '0:0:0:0:0:0:0:0') return {};
  throw invalidArgument('--advertise', `is needed with --bind ${host}: where do others reach it?`);
}

async function keyringOf({ key, keyFile }: GossipFlags): Promise<Keyring | undefined> {
  if (key !== undefined && keyFile !== undefined)
    throw invalidArgument('--key', 'and --key-file are both given');
  if (keyFile === undefined) return key === undefined ? undefined : new Keyring(keysIn(key));
  try {
    return new Keyring(keysIn(await readFile(keyFile, 'utf8')));
  } catch (error) {
    throw invalidArgument('--key-file', `${keyFile}: ${messageOf(error)}`);
  }
}

/** Base64, as Serf has them; the first one encrypts. */
function keysIn(text: string): Buffer[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  return words.map((word) => {
    if (/^[A-Za-z0-9+/]+={0,2}$/.test(word)) return Buffer.from(word, 'base64');
    throw invalidArgument('--key', 'is not base64; serf keygen makes one');
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

function joinsOf(text = ''): string[] {
  const addresses = text.split(',').filter((one) => one.trim() !== '');
  return addresses.map((one) => endpointText(endpointOf('--join', one, DEFAULT_PORT)));
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
    throw invalidArgument(flag, `is ${JSON.stringify(text)}, expected IP-ADDRESS:PORT`);
  }
}

function textOf(address: Uint8Array): string {
  return addressText(address) ?? '';
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '0:0:0:0:0:0:0:1';
}
