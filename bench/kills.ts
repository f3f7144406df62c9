import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { seededRandom } from '../runtime/seeded-random.js';
import type { Random } from '../runtime/seeded-random.js';
import { FractoryError } from '../runtime/errors.js';
import { DEFAULT_STORAGE_LIMITS } from '../services/storage/limits.js';
import { FileStore } from '../services/storage/store.js';
import { FileClient, isUntouched } from '../test/controllers/storage/file-client.js';
import { StorageMembers } from '../test/controllers/storage/storage-members.js';
import { DeviceKillRounds } from '../test/services/block/kill-rounds.js';
import { KillRounds } from '../test/services/storage/kill-rounds.js';
import { ToldFiles } from '../test/services/storage/told-files.js';
import { finding } from './statistics.js';
import type { Finding } from './statistics.js';

const PROCESSES = 4;
/** In each round: 1,000 in five. */
const KILLS = 200;
const NODE_KILLS = 4;
/** Acknowledged by nodes before the next is killed: 1,000 in five rounds. */
const NODE_WRITES = 50;
const WRITERS = 8;
const DEVICE_KILLS = 20;
const CLIENT = 'bench';

const arms = ['acknowledged and there', 'acknowledged'] as const;
const ALL = { least: 1 } as const;

interface Round {
  readonly kills: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly torn: number;
}

/** Storage processes, storage nodes and block devices that are killed by SIGKILL amid their writes: what was acknowledged has to be there. */
export async function measureKills(rounds: number): Promise<Finding[]> {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.error(`seed ${String(seed)}`);
  const random = seededRandom(seed);
  const processes: Round[] = [];
  const devices: Round[] = [];
  const nodes: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    processes.push(await inFolder((folder) => killProcesses(folder, random)));
    devices.push(await inFolder((folder) => killDevices(folder, random)));
    nodes.push(await killNodes(random));
  }
  return [
    found('writes_kept_when_processes_are_killed', processes),
    found('writes_kept_when_nodes_are_killed', nodes),
    found('extents_kept_when_devices_are_killed', devices),
  ];
}

function found(measure: string, rounds: readonly Round[]): Finding {
  const sum = (of: (round: Round) => number): number =>
    rounds.reduce((total, round) => total + of(round), 0);
  const ratios = rounds.map(({ acknowledged, lost }) => (acknowledged - lost) / acknowledged);
  const figures = {
    kills: sum(({ kills }) => kills),
    acknowledged: sum(({ acknowledged }) => acknowledged),
    lost: sum(({ lost }) => lost),
    torn: sum(({ torn }) => torn),
  };
  return finding(measure, arms, ratios, figures, ALL);
}

async function killProcesses(folder: string, random: Random): Promise<Round> {
  const rounds = new KillRounds(path.join(folder, 'storage'), random);
  await rounds.run(PROCESSES, KILLS / PROCESSES);
  return { kills: rounds.kills, ...rounds.files.counts };
}

async function killDevices(folder: string, random: Random): Promise<Round> {
  const rounds = new DeviceKillRounds(path.join(folder, 'block-1.img'), random);
  await rounds.run(DEVICE_KILLS);
  const { kills, acknowledged, lost } = rounds;
  return { kills, acknowledged, lost, torn: 0 };
}

/** Two nodes, the leader of which is killed and comes back behind the other; many clients write all the time. */
async function killNodes(random: Random): Promise<Round> {
  await using members = await StorageMembers.start({ members: 2, sessionTimeoutMs: 1000 });
  using client = new FileClient();
  const files = new ToldFiles(CLIENT);
  const store = await FileStore.open(members.storagePath, DEFAULT_STORAGE_LIMITS);
  for (let kill = 0; kill < NODE_KILLS; kill++) {
    const until = files.counts.acknowledged + NODE_WRITES;
    const isEnough = (): boolean => files.counts.acknowledged >= until;
    const leader = members.leader;
    let isKilled = false;
    const ended = (): boolean => isKilled;
    const writing = Array.from({ length: WRITERS }, (_, writer) =>
      write(`w${String(writer)}-${String(kill % 2)}`, { members, client, files, random, ended }),
    );
    while (!isEnough()) await new Promise((resolve) => setTimeout(resolve, random() * 20));
    if (leader) await members.kill(leader.id);
    isKilled = true;
    await Promise.all(writing);
    await files.checkAll(store);
    await members.when(() => members.leader?.epoch !== leader?.epoch);
    if (leader) await members.launch(leader.id);
  }
  return { kills: NODE_KILLS, ...files.counts };
}

interface Writing {
  readonly members: StorageMembers;
  readonly client: FileClient;
  readonly files: ToldFiles;
  readonly random: Random;
  readonly ended: () => boolean;
}

/** Writes a name again and again until a write fails whose effect nobody knows. */
async function write(
  name: string,
  { members, client, files, random, ended }: Writing,
): Promise<void> {
  while (!ended()) {
    const content = Buffer.from(`${name} ${String(random())}\n`.repeat(1 + random() * 3000));
    const { leader } = members;
    if (!leader) return;
    files.asked(name, createHash('sha256').update(content).digest('hex'));
    try {
      const { version } = await client.put(leader.address, { client: CLIENT, name }, content);
      files.done(name, version);
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      if (!isUntouched(error)) return;
      files.refused(name);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-kills-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
