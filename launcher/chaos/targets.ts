import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Member } from '../../zookeeper/coordinator.js';

/** Type of ZooKeeper's servers, beside the device types. */
export const ZOOKEEPER = 'zookeeper';

/** Whom a fault hits. */
export interface Target {
  /** A member's id, or `zookeeper-1`. */
  readonly name: string;
  /** Device type, or `zookeeper`. */
  readonly type: string;
  /** As registered; absent for ZooKeeper's servers, and for nodes that aren't registered now. */
  readonly member?: Member;
  /** It leads its type, and only leaders of that type serve. */
  readonly leader: boolean;
}

/** Who is there. */
export interface Population {
  readonly members: readonly Member[];
  /** Nodes and ZooKeeper's servers that the launcher has started, also those that aren't registered now. */
  readonly processes: readonly { readonly name: string; readonly kind: 'node' | 'zookeeper' }[];
  /** Asks which of ZooKeeper's servers leads the others. */
  readonly zookeeperLeader: () => Promise<string | undefined>;
}

/** Finds what the words of a command name: `storage-1`, `storage-1,math-1`, `leader:storage`, `zookeeper-2`, `leader:zookeeper`. */
export async function targetsOf(
  words: readonly string[],
  population: Population,
): Promise<Target[]> {
  const targets = new Map<string, Target>();
  for (const word of words.flatMap((given) => given.split(',')).filter((one) => one !== '')) {
    const target = await targetOf(word, population);
    targets.set(target.name, target);
  }
  return [...targets.values()];
}

async function targetOf(word: string, population: Population): Promise<Target> {
  const type = /^leader:(.+)$/.exec(word)?.[1];
  if (type !== undefined) return leader(type, population);
  const member = population.members.find(({ id }) => id === word);
  if (member) return memberTarget(member, population.members);
  const process = population.processes.find(({ name }) => name === word);
  if (process)
    return {
      name: word,
      type: process.kind === 'zookeeper' ? ZOOKEEPER : word.replace(/-\d+$/, ''),
      leader: false,
    };
  const known = names(population);
  const near = closest(word, known);
  throw new FractoryError(
    status.NOT_FOUND,
    'UNKNOWN_MEMBER',
    `there is no member ${word}${near === undefined ? '' : ` (did you mean ${near}?)`}; there are ${known.join(', ')}`,
  );
}

async function leader(type: string, population: Population): Promise<Target> {
  if (type === ZOOKEEPER) {
    const name = await population.zookeeperLeader();
    if (name !== undefined) return { name, type, leader: false };
  }
  const member = leaderOf(population.members, type);
  if (member) return memberTarget(member, population.members);
  throw new FractoryError(
    status.NOT_FOUND,
    'NO_LEADER',
    `${type} has no leader now; ./datacenter status lists the members`,
  );
}

export function memberTarget(member: Member, members: readonly Member[]): Target {
  const { id, type, routing } = member;
  return {
    ...{ name: id, type, member },
    leader: routing === 'leader' && leaderOf(members, type)?.epoch === member.epoch,
  };
}

function names({ members, processes }: Population): string[] {
  const all = new Set([...members.map(({ id }) => id), ...processes.map(({ name }) => name)]);
  return [...all].sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
}
