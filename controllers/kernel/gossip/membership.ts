import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import { status } from '@grpc/grpc-js';

import type { GossipConfig } from '../../../config/node-config.js';
import type { MemberState, MemberView } from '../../../gossip/core/member.js';
import { profiles } from '../../../gossip/core/profile.js';
import { endpointText } from '../../../gossip/net/address.js';
import { KeyringFile } from '../../../gossip/serf/keyring-file.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import type { SerfOptions } from '../../../gossip/serf/serf-member.js';
import { decodeTags } from '../../../gossip/serf/tags.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import type {
  DescribeGossipResponse,
  GossipMember,
} from '../../../protos/gen/fractory/v1/controller.js';
import { systemClock } from '../../../runtime/clock.js';
import { FractoryError, messageOf, systemCodeOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { MemberKey } from '../directory.js';
import { Joining } from './joining.js';
import { differsNoticeably, loadOf } from './load.js';
import type { Load } from './load.js';
import { followGossip } from './metrics.js';
import type { GossipFigures } from './metrics.js';
import type { NodeGossipParts } from './node.js';
import { decodeNodeTags, encodeNodeTags } from './tags.js';
import type { NodeTags } from './tags.js';
import type { GossipVerdicts } from './verdicts.js';
import { describeGossipMember } from './view.js';

export interface GossipMembershipParts {
  readonly config: GossipConfig;
  /** Of this process, among all. */
  readonly name: string;
  /** What it says of itself. */
  readonly about: (load: Load) => NodeTags;
  readonly verdicts: GossipVerdicts;
}

/** Between two looks at the load, and at what can be forgotten, ms. */
const LOOK_MS = 5000;
/** Longest time for goodbye, ms. */
const LEAVE_MS = 500;

/** Gossip that has begun: a member that agents of Serf see with its tags. */
export class GossipMembership {
  readonly #node: NodeGossipParts;
  readonly #parts: GossipMembershipParts;
  readonly #joining: Joining;
  #member: SerfMember | undefined;
  #isTogether = false;
  #told: Load = { percent: 0, work: 0 };
  #loop = performance.eventLoopUtilization();
  readonly #ends: (() => void)[] = [];

  private constructor(node: NodeGossipParts, parts: GossipMembershipParts) {
    this.#node = node;
    this.#parts = parts;
    this.#joining = new Joining({
      listed: () => this.#listed(),
      configured: parts.config.join,
      settled: () => this.#settled(),
      isAlone: () => this.#list.members().length < 2,
      join: (address) => this.#join(address),
      onAlone: (forMs, why) => {
        const facts = { forMs: Math.round(forMs), why, remedy: ALONE };
        node.log.warn(facts, 'gossip reaches nobody');
      },
      ...{ clock: systemClock, random: Math.random },
    });
  }

  /** Listens where the node does, and looks for the others. Rejects with what the system says of the address, and where keys are none. */
  static async begin(
    node: NodeGossipParts,
    parts: GossipMembershipParts,
  ): Promise<GossipMembership> {
    const { config, name, about } = parts;
    const membership = new GossipMembership(node, parts);
    const options = {
      ...{ name, bind: await addressOf(node.host), profile: profiles[config.profile] },
      tags: encodeNodeTags(about(loadOf(0, node.underWay()))),
      keyring: await keyringOf(config, node.log),
      log: node.log.child({ part: 'gossip' }),
      onChange: ({ member }: { readonly member: MemberView }) => {
        membership.#hear(member);
      },
    };
    membership.#start(await open(options, config.port));
    return membership;
  }

  get endpoint(): string {
    return endpointText(this.#list.localMember());
  }

  /** Tells everybody what this node says of itself now. */
  async tell(load = this.#told): Promise<void> {
    this.#told = load;
    try {
      await this.#member?.setTags(encodeNodeTags(this.#parts.about(load)));
    } catch (error) {
      this.#node.log.warn({ error: messageOf(error) }, 'gossip does not tell of this node');
    }
  }

  view(): DescribeGossipResponse {
    const { dataCenter } = this.#node;
    const nowMs = systemClock.monotonicMs();
    const members = this.#list.allMembers().flatMap(({ meta, state, since }) => {
      const tags = decodeNodeTags(decodeTags(meta), dataCenter);
      return tags ? [describeGossipMember(tags, state, nowMs - since)] : [];
    });
    const { awareness } = this.#list;
    return {
      ...{ running: true, address: this.endpoint, awareness },
      members: [...members, ...this.#forgotten(nowMs)],
    };
  }

  /** Gossip has no entry for them any more, but nothing was taken back. */
  #forgotten(nowMs: number): GossipMember[] {
    const known = new Set(this.#list.allMembers().map(({ name }) => name));
    return [...this.#parts.verdicts].flatMap(([name, { key, state, sinceMs }]) =>
      known.has(name) ? [] : [describeGossipMember(nameless(key), state, nowMs - sinceMs)],
    );
  }

  async leave(): Promise<void> {
    this.#stopJoining();
    try {
      await this.#member?.leave(LEAVE_MS / 2);
    } catch (error) {
      this.#node.log.warn({ error: messageOf(error) }, 'gossip was left without a goodbye');
    }
  }

  async close(): Promise<void> {
    this.#stopJoining();
    await this.#member?.stop();
  }

  get #list(): SerfMember['list'] {
    if (!this.#member) throw new Error('begin comes first');
    return this.#member.list;
  }

  #start(member: SerfMember): void {
    const { directory, registry } = this.#node;
    this.#member = member;
    followGossip(registry, () => this.#figures());
    this.#ends.push(
      directory.subscribe(() => {
        this.#joining.look();
      }),
    );
    this.#joining.look();
    this.#lookLater();
  }

  /** Something became of a process. */
  #hear({ name, meta, state, since }: MemberView): void {
    const tags = decodeNodeTags(decodeTags(meta), this.#node.dataCenter);
    if (!tags || name === this.#parts.name) return;
    this.#parts.verdicts.hear(name, { id: tags.id, epoch: tags.epoch }, state, since);
  }

  #stopJoining(): void {
    this.#joining.close();
    for (const end of this.#ends.splice(0)) end();
  }

  #listed(): string[] {
    const own = this.endpoint;
    return this.#node.directory
      .members()
      .flatMap(({ gossipAddress: at }) => (at === undefined || at === own ? [] : [at]));
  }

  #settled(): ReadonlySet<string> {
    return new Set(
      this.#list.allMembers().flatMap((one) => (one.state === 'dead' ? [] : [endpointText(one)])),
    );
  }

  async #join(address: string): Promise<void> {
    const wasAlone = this.#list.members().length < 2;
    await (wasAlone ? this.#member?.join([address]) : this.#list.join([address]));
    const members = this.#list.members().length;
    // Several were asked at the same time.
    if (wasAlone && !this.#isTogether)
      this.#node.log.info({ with: address, members }, 'node joined the gossip');
    this.#isTogether = members > 1;
  }

  #lookLater(): void {
    this.#ends.push(
      systemClock.schedule(LOOK_MS, () => {
        this.#ends.pop();
        this.#look();
        this.#lookLater();
      }),
    );
  }

  #look(): void {
    const since = performance.eventLoopUtilization(this.#loop);
    this.#loop = performance.eventLoopUtilization();
    if (this.#list.members().length < 2) this.#isTogether = false;
    const load = loadOf(since.utilization, this.#node.underWay());
    if (differsNoticeably(this.#told, load)) void this.tell(load);
    // What gossip has forgotten may still be listed: then it is as dead as before.
    const known = new Set(this.#list.allMembers().map(({ name }) => name));
    const { directory } = this.#node;
    this.#parts.verdicts.forget((name, { key }) => !known.has(name) && !directory.find(key));
  }

  #figures(): GossipFigures {
    const members: Record<MemberState, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };
    for (const { state } of this.#list.allMembers()) members[state]++;
    return { members, counts: this.#list.counts, awareness: this.#list.awareness };
  }
}

/** Who was forgotten, but for its key. */
function nameless(key: MemberKey): NodeTags {
  return { ...key, dataCenter: '', type: '', address: '', load: { percent: 0, work: 0 } };
}

const ALONE =
  'see that UDP and TCP pass between the nodes, and that all have the same key ([Gossip] key, key_file, keyring)';

/** Of its file, once keys were changed; else of what the node was told. Rejects where that file is not one, or nobody told a key. */
async function keyringOf(config: GossipConfig, log: Logger): Promise<Keyring> {
  const { keyring, keys, problem } = config;
  const told = keys.map((key) => Buffer.from(key, 'base64'));
  if (keyring === undefined) return new Keyring(checked(told, problem));
  const file = new KeyringFile(keyring);
  const kept = await file.read();
  if (!kept) return new Keyring(checked(told, problem), file.keep);
  const isOther = kept.map((key) => key.toString('base64')).join() !== keys.join();
  if (isOther) log.info({ keyring }, 'keys of gossip were changed since: the keyring counts');
  return new Keyring(kept, file.keep);
}

function checked(keys: readonly Buffer[], problem: string | undefined): readonly Buffer[] {
  if (problem === undefined) return keys;
  throw new FractoryError(status.FAILED_PRECONDITION, 'NO_KEY', problem);
}

/** On the port that is wanted, or any where another has that. */
async function open(options: SerfOptions, port: number): Promise<SerfMember> {
  try {
    return await SerfMember.create({ ...options, port });
  } catch (error) {
    if (port === 0 || systemCodeOf(error) !== 'EADDRINUSE') throw error;
    return SerfMember.create({ ...options, port: 0 });
  }
}

async function addressOf(host: string): Promise<string> {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  return isIP(plain) === 0 ? (await lookup(plain)).address : plain;
}
