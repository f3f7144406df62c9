import { Agent } from '../../../gossip/agent/agent.js';
import { HttpFace } from '../../../gossip/agent/http-face.js';
import { decodeEntry, encodeEntry, ReplicatedMap } from '../../../gossip/agent/replicated-map.js';
import type { MapEntry } from '../../../gossip/agent/replicated-map.js';
import type { MemberChange } from '../../../gossip/core/membership.js';
import { local } from '../../../gossip/core/profile.js';
import type { GossipCounts } from '../../../gossip/counts.js';
import { Memberlist } from '../../../gossip/memberlist.js';
import { endpointText } from '../../../gossip/net/address.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { sleep } from '../../../runtime/deadline.js';
import { FractoryError, messageOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { ClusterSetup } from './fuzzed-cluster.js';
import { MAP_EVENT } from './hostile-serf.js';

/** One member that is attacked, beside others that are well. */
export interface FuzzedMembers {
  readonly port: number;
  /** Of the attacked one's HTTP face. */
  readonly httpPort?: number;
  /** Of those who are well. */
  readonly peerPorts: readonly number[];
  /** The attacked one's first. */
  readonly counts: readonly [GossipCounts, ...GossipCounts[]];
  /** How many the attacked one knows, made-up ones too. */
  known(): number;
  /** Names that each of those who are well sees. */
  views(): readonly (readonly string[])[];
  /** Whether all still hear each other: what is wrong. */
  pulse(): Promise<readonly string[]>;
}

const profile = {
  ...local,
  ...{ probeIntervalMs: 200, probeTimeoutMs: 100, gossipIntervalMs: 50, pushPullIntervalMs: 1000 },
  ...{ suspicionMultiplier: 6, retransmitMultiplier: 4 },
};
const SAID_EVERY_MS = 100;
const HEARD_WITHIN_MS = 20_000;
/** Of an event, bytes. */
const TOO_MUCH = [2000, 9 * 1024 + 1, 20_000];
/** What a failing pattern of an operator would run into. */
const TAGS = { role: `${'a'.repeat(40)}!` };

interface Watched {
  readonly log: Logger;
  readonly changed: (by: string, change: MemberChange) => void;
}

const optionsOf = ({ label, key }: ClusterSetup, name: string, { log, changed }: Watched) => ({
  ...{ name, profile, label, port: 0, log },
  ...(key === '' ? {} : { keyring: new Keyring([Buffer.from(key, 'base64')]) }),
  onChange: (change: MemberChange) => {
    changed(name, change);
  },
});

/** Members of memberlist without anything on top. */
export async function plainMembers(setup: ClusterSetup, watched: Watched): Promise<FuzzedMembers> {
  const [attacked, ...others] = await Promise.all(
    [setup.victim, ...setup.healthy].map((name) =>
      Memberlist.create(optionsOf(setup, name, watched)),
    ),
  );
  if (!attacked) throw new Error('nobody is attacked');
  for (const other of others) await other.join([endpointText(attacked.localMember())]);
  return {
    port: attacked.localMember().port,
    peerPorts: others.map((other) => other.localMember().port),
    counts: [attacked.counts, ...others.map(({ counts }) => counts)],
    known: () => attacked.allMembers().length,
    views: () => others.map((other) => other.members().map(({ name }) => name)),
    pulse: () => Promise.resolve([]),
  };
}

/** An agent with its map and HTTP face beside two that are told what happens, but have no map. */
export async function agents(setup: ClusterSetup, watched: Watched): Promise<FuzzedMembers> {
  const heard = new Map<string, string>();
  const attacked = await Agent.start({
    ...optionsOf(setup, setup.victim, watched),
    tags: TAGS,
  });
  const face = await HttpFace.open(attacked, '127.0.0.1', 0, '', watched.log);
  const others = await Promise.all(
    setup.healthy.map((name) =>
      SerfMember.create({
        ...optionsOf(setup, name, watched),
        onEvent: ({ name: event, payload }) => {
          const entry = event === MAP_EVENT ? entryOf(payload) : undefined;
          if (entry) heard.set(`${name} ${entry.key}`, entry.value);
        },
      }),
    ),
  );
  for (const other of others) await other.join([endpointText(attacked.local)]);
  const writers = others.map(({ local: { name } }) => new ReplicatedMap(name));
  return {
    ...{ port: attacked.local.port, httpPort: face.port },
    peerPorts: others.map((other) => other.local.port),
    counts: [attacked.counts, ...others.map(({ list }) => list.counts)],
    known: () => attacked.members().length,
    views: () => others.map((other) => other.list.members().map(({ name }) => name)),
    pulse: async () => {
      const faults: string[] = [];
      const value = String(performance.now());
      for (const other of others) sayTooMuch(other, faults);
      for (const other of setup.healthy)
        await told(
          () => {
            attacked.set('pulse', value);
          },
          () => heard.get(`${other} pulse`) === value,
          `${other} hears no more what ${setup.victim} says`,
          faults,
        );
      for (const [at, other] of others.entries()) {
        const key = `pulse-${String(at)}`;
        await told(
          () => {
            // As an agent does: the entry is later each time.
            other.event(MAP_EVENT, encodeEntry(writers[at]!.set(key, value)));
          },
          () => attacked.map.get(key) === value,
          `${setup.victim} hears no more what ${other.local.name} says`,
          faults,
        );
      }
      return faults;
    },
  };
}

/** A program on top says more than there is room for: it is told so, and nothing of it is kept for later. */
function sayTooMuch(member: SerfMember, faults: string[]): void {
  for (const bytes of TOO_MUCH)
    try {
      member.event('large', new Uint8Array(bytes));
      faults.push(`an event of ${String(bytes)} bytes is taken`);
    } catch (error) {
      if (!(error instanceof FractoryError)) faults.push(`an event fails: ${String(error)}`);
    }
}

/** Says it again and again, as rumours may go to made-up members, until it was heard. */
async function told(
  say: () => void,
  isHeard: () => boolean,
  otherwise: string,
  faults: string[],
): Promise<void> {
  const untilMs = performance.now() + HEARD_WITHIN_MS;
  try {
    while (!isHeard() && performance.now() < untilMs) {
      say();
      await sleep(SAID_EVERY_MS);
    }
    if (!isHeard()) faults.push(otherwise);
  } catch (error) {
    faults.push(`${otherwise}: ${messageOf(error)}`);
  }
}

function entryOf(payload: Uint8Array): MapEntry | undefined {
  try {
    return decodeEntry(payload);
  } catch {
    // Of those who attack.
    return undefined;
  }
}
