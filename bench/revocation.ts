import { ObjectTable } from '../controllers/kernel/capabilities/objects.js';
import { narrow } from '../controllers/kernel/capabilities/token.js';
import type { KernelAccess } from '../controllers/kernel/device.js';
import { limitsSection } from '../config/limits.js';
import { ControllerServiceClient } from '../protos/gen/fractory/v1/controller.js';
import type { DeriveResponse, RevokeResponse } from '../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../protos/gen/fractory/v1/capability.js';
import { integerValue } from '../protos/values.js';
import { ChannelPool } from '../runtime/channels.js';
import type { FractoryError } from '../runtime/errors.js';
import type { Member } from '../zookeeper/coordinator.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';

const HOLDERS = [1, 100, 10_000] as const;
const SUBTREES = [1000, 10_000, 100_000] as const;
const LARGEST_SUBTREE = Math.max(...SUBTREES);
/** Revocations in each arm of a round. */
const REPETITIONS = 7;
/** Calls between the use of capabilities and their revocation. */
const SETTLING_CALLS = 100;
/** Racing invokes of all rounds together. */
const RACING_INVOKES = 1_000_000;
/** Invokes under way at a time in a race, before its revocation begins, and after that was answered. */
const RACE = { inFlight: 256, before: 700, after: 300 };
const PLENTY_MS = 60_000;

/** An owner in another process, and what is asked of it. */
class Owner {
  readonly #kernel: KernelAccess;
  readonly #member: Member;
  readonly #client: ControllerServiceClient;
  readonly #root: Capability;

  private constructor(
    kernel: KernelAccess,
    member: Member,
    client: ControllerServiceClient,
    root: Capability,
  ) {
    this.#kernel = kernel;
    this.#member = member;
    this.#client = client;
    this.#root = root;
  }

  static async of(kernel: KernelAccess, channels: ChannelPool): Promise<Owner> {
    const member = kernel.pick('math');
    const grants = await kernel.connect(member, new AbortController().signal);
    const root = grants.get('math.shift_left')?.capability;
    if (!root) throw new Error(`${member.id} has no operation math.shift_left`);
    return new Owner(
      kernel,
      member,
      channels.client(ControllerServiceClient, member.address),
      root,
    );
  }

  derive(): Promise<DeriveResponse> {
    return new Promise((resolve, reject) => {
      this.#client.derive({ capability: this.#root, caveat: undefined }, (error, made) => {
        if (error) reject(error);
        else resolve(made);
      });
    });
  }

  revoke(capability: Capability | undefined): Promise<RevokeResponse> {
    return new Promise((resolve, reject) => {
      this.#client.revoke({ capability }, (error, answer) => {
        if (error) reject(error);
        else resolve(answer);
      });
    });
  }

  /** One invoke over the link; resolves with why it was refused, undefined if it was admitted. */
  invoke(capability: Capability): Promise<FractoryError | undefined> {
    return new Promise((resolve) => {
      const invocation = {
        ...{ id: 0n, capability, onSuccess: [], onFailure: [], receipts: [], shared: [] },
        ...{ hops: 0, sentAtUs: 0n, traceparent: '', attempt: 0, retries: 0, budgetMs: PLENTY_MS },
        arguments: [
          { name: 'input', value: integerValue(1n) },
          { name: 'm', value: integerValue(1n) },
        ],
      };
      this.#kernel.dispatch(invocation, resolve);
    });
  }

  /** Messages that the owner has sent to other controllers since it started. */
  async messagesSent(): Promise<number> {
    const text = await (await fetch(`http://${this.#member.metricsAddress}/metrics`)).text();
    let sent = 0;
    for (const line of text.split('\n'))
      if (line.startsWith('fractory_wire_messages_total{') && line.includes('direction="sent"'))
        sent += Number(line.slice(line.lastIndexOf(' ')));
    return sent;
  }
}

interface Revoked {
  readonly tookUs: number;
  readonly messages: number;
}

/** Hands a capability to so many holders, all of whom use it; returns its revoker and some of what they hold. */
async function handOut(
  owner: Owner,
  holders: number,
): Promise<{ revoker: Capability; held: Capability[] }> {
  const { capability, revoker } = await owner.derive();
  if (!capability || !revoker) throw new Error('nothing was derived');
  const expiresAtMs = Date.now() + PLENTY_MS;
  const held = Array.from({ length: holders }, (_, holder) =>
    narrow(capability, { expiresAtMs: BigInt(expiresAtMs + holder) }),
  );
  for (let from = 0; from < holders; from += 1000) {
    const used = await Promise.all(held.slice(from, from + 1000).map((one) => owner.invoke(one)));
    for (const error of used) if (error) throw error;
  }
  return { revoker, held: held.filter((_, holder) => holder % 997 === 0) };
}

/** Revokes some capabilities with so many holders each, one after the other. */
async function revokeFrom(owner: Owner, holders: number): Promise<readonly Revoked[]> {
  const handedOut: Awaited<ReturnType<typeof handOut>>[] = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition++)
    handedOut.push(await handOut(owner, holders));
  // What the holders' invokes left to collect shall not be counted as a cost of the revocation.
  for (let call = 0; call < SETTLING_CALLS; call++)
    await owner.revoke((await owner.derive()).revoker);
  const revoked: Revoked[] = [];
  for (const { revoker, held } of handedOut) {
    const before = await owner.messagesSent();
    await owner.revoke((await owner.derive()).revoker);
    const startedAt = performance.now();
    await owner.revoke(revoker);
    const tookUs = (performance.now() - startedAt) * 1000;
    revoked.push({ tookUs, messages: (await owner.messagesSent()) - before });
    for (const one of held)
      if ((await owner.invoke(one))?.reason !== 'CAPABILITY_REVOKED')
        throw new Error('a holder was admitted after the revocation');
  }
  return revoked;
}

async function measureHolders(owner: Owner, rounds: number): Promise<Finding> {
  const times = new Map<number, number[]>(HOLDERS.map((holders) => [holders, []]));
  let messages = 0;
  for (let round = 0; round <= rounds; round++)
    for (const holders of HOLDERS) {
      const revoked = await revokeFrom(owner, holders);
      if (round === 0) continue;
      times.get(holders)?.push(median(revoked.map(({ tookUs }) => tookUs)));
      messages += revoked.reduce((sum, sample) => sum + sample.messages, 0);
    }
  const [one = [], hundred = [], many = []] = HOLDERS.map((holders) => times.get(holders) ?? []);
  return finding(
    'revoke_10000_vs_1_holder',
    ['time of Revoke with 10,000 holders', 'with 1'],
    many.map((time, round) => time / (one[round] ?? Number.NaN)),
    {
      revoke1Us: median(one),
      revoke100Us: median(hundred),
      revoke10000Us: median(many),
      messagesToHolders: messages,
    },
    { most: 1.5 },
  );
}

/** Nanoseconds for each node when a subtree of so many dies. */
function subtreeNs(nodes: number): number {
  const limits = { ...limitsSection.parse({}), max_tree_nodes: nodes };
  const objects = new ObjectTable('bench', () => [], { limits });
  objects.begin(1n);
  const memory = { sizeBytes: 1, onDead: () => undefined };
  const top = objects.addMemory(memory, 2);
  const made = [top.capability];
  // Eight below each.
  for (let node = 1; node < nodes; node++)
    made.push(objects.derive(made[(node - 1) >> 3] ?? top.capability).capability);
  const startedAt = performance.now();
  const died = objects.revoke(top.revoker);
  const tookMs = performance.now() - startedAt;
  if (died !== nodes) throw new Error(`${String(died)} of ${String(nodes)} nodes died`);
  return (tookMs * 1e6) / nodes;
}

function measureSubtrees(rounds: number): Finding {
  const times = new Map<number, number[]>(SUBTREES.map((nodes) => [nodes, []]));
  for (let round = 0; round <= rounds; round++)
    for (const nodes of SUBTREES) {
      const samples = Array.from({ length: LARGEST_SUBTREE / nodes / 4 + 1 }, () =>
        subtreeNs(nodes),
      );
      if (round > 0) times.get(nodes)?.push(median(samples));
    }
  const [small = [], middle = [], large = []] = SUBTREES.map((nodes) => times.get(nodes) ?? []);
  return finding(
    'revoke_subtree_100000_vs_1000',
    ['time for each node of 100,000', 'of 1,000'],
    large.map((time, round) => time / (small[round] ?? Number.NaN)),
    {
      nsEachOf1000: median(small),
      nsEachOf10000: median(middle),
      nsEachOf100000: median(large),
    },
    { most: 4 },
  );
}

interface Race {
  admitted: number;
  refused: number;
  /** Invokes that were sent when Revoke had answered, and how many of them were admitted. */
  sentAfter: number;
  admittedAfter: number;
  /** Invokes that were admitted although one sent before them over the same link was refused. */
  overtaken: number;
}

/** Invokes as fast as the link takes them, while the capability is revoked. */
async function race(owner: Owner, found: Race): Promise<void> {
  const { capability, revoker } = await owner.derive();
  if (!capability) throw new Error('nothing was derived');
  let [sent, sentAfter, lastAdmitted, firstRefused] = [0, 0, -1, Infinity];
  let isAnswered = false;
  let revocation: Promise<void> | undefined;
  const racer = async (): Promise<void> => {
    while (sentAfter < RACE.after) {
      const place = sent++;
      const isAfter = isAnswered;
      if (isAfter) sentAfter++;
      if (place === RACE.before)
        revocation = owner.revoke(revoker).then(() => {
          isAnswered = true;
        });
      const error = await owner.invoke(capability);
      if (error && error.reason !== 'CAPABILITY_REVOKED') throw error;
      if (!error && isAfter) found.admittedAfter++;
      if (error) firstRefused = Math.min(firstRefused, place);
      else lastAdmitted = Math.max(lastAdmitted, place);
      found[error ? 'refused' : 'admitted']++;
    }
  };
  await Promise.all(Array.from({ length: RACE.inFlight }, racer));
  await revocation;
  found.sentAfter += sentAfter;
  if (lastAdmitted > firstRefused) found.overtaken++;
}

async function measureRaces(owner: Owner, rounds: number, invokes: number): Promise<Finding> {
  const total: Race = { admitted: 0, refused: 0, sentAfter: 0, admittedAfter: 0, overtaken: 0 };
  const shares: number[] = [];
  let seconds = 0;
  let races = 0;
  for (let round = 1; round <= rounds; round++) {
    const [afterBefore, admittedBefore] = [total.sentAfter, total.admittedAfter];
    const startedAt = performance.now();
    for (; total.admitted + total.refused < (invokes * round) / rounds; races++)
      await race(owner, total);
    seconds += (performance.now() - startedAt) / 1000;
    shares.push((total.admittedAfter - admittedBefore) / (total.sentAfter - afterBefore));
  }
  return finding(
    'admitted_after_revoke',
    ['invokes admitted after Revoke had answered', 'invokes sent after that'],
    shares,
    {
      races,
      ...total,
      invokesPerSecond: (total.admitted + total.refused) / seconds,
    },
    { most: 0 },
  );
}

/** What revoking costs, and that it holds while others race with it. */
export async function measureRevocation(
  rounds: number,
  racingInvokes = RACING_INVOKES,
): Promise<Finding[]> {
  await using center = await SmallDataCenter.start({ 'math-1': 'math' });
  const channels = new ChannelPool();
  const owner = await Owner.of(center.kernel, channels);
  const holders = await measureHolders(owner, rounds);
  const races = await measureRaces(owner, rounds, racingInvokes);
  channels.close();
  return [holders, measureSubtrees(rounds), races];
}
