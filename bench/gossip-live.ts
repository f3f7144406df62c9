import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { firstDetectionMs, fullDetectionMs, suspicionBounds } from '../gossip/core/formulas.js';
import type { MemberChange } from '../gossip/core/membership.js';
import { profiles } from '../gossip/core/profile.js';
import type { Profile, ProfileName } from '../gossip/core/profile.js';
import { Memberlist } from '../gossip/memberlist.js';
import { endpointText } from '../gossip/net/address.js';
import { sleep } from '../runtime/deadline.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';

const MEMBERS = 20;
const VICTIM = 'victim';
const PROCESS = fileURLToPath(new URL('gossip-live-process.js', import.meta.url));
/** The crash comes at any time of a round of probes. */
const LEAST_LIFE_MS = 2000;
const MOST_LIFE_MS = 8000;

/** How long a member that is killed stays unnoticed among 20 on real sockets, by the first and by all others. At least five crashes of each profile. */
export async function measureGossipLive(rounds: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of ['lan', 'local'] as const) findings.push(...(await detection(name, rounds)));
  return findings;
}

async function detection(name: ProfileName, crashes: number): Promise<Finding[]> {
  const profile = profiles[name];
  await using observers = await Observers.create(profile);
  const found: Detection[] = [];
  // A first life, so that the walk of every member knows the place of the victim.
  await observers.life(name, MEMBERS * profile.probeIntervalMs);
  for (let crash = 0; crash < crashes; crash++) {
    const livesMs = LEAST_LIFE_MS + Math.random() * (MOST_LIFE_MS - LEAST_LIFE_MS);
    found.push(await observers.life(name, livesMs));
    console.error(`${name} ${JSON.stringify(found.at(-1))}`);
  }
  const { shortestMs, longestMs } = suspicionBounds(profile, MEMBERS);
  const bounds = {
    leastS: shortestMs / 1000,
    mostS: (longestMs + 2 * MEMBERS * profile.probeIntervalMs) / 1000,
    falsePositives: observers.falsePositives,
  };
  const arms = ['mean of the crashes', 'the formula'] as const;
  const firsts = found.map(({ firstMs }) => firstMs);
  const alls = found.map(({ allMs }) => allMs);
  const [first, all] = [firstDetectionMs(profile, MEMBERS), fullDetectionMs(profile, MEMBERS)];
  return [
    {
      ...finding(`gossip_live_first_detection_${name}`, arms, ratios(firsts, first), {
        ...{ meanS: mean(firsts) / 1000, medianS: median(firsts) / 1000, formulaS: first / 1000 },
        ...{ leastS: Math.min(...firsts) / 1000, mostS: Math.max(...firsts) / 1000 },
        ...{ boundLeastS: bounds.leastS, boundMostS: bounds.mostS, crashes },
        falsePositives: bounds.falsePositives,
      }),
      ratio: mean(firsts) / first,
    },
    {
      ...finding(`gossip_live_full_detection_${name}`, arms, ratios(alls, all), {
        ...{ meanS: mean(alls) / 1000, medianS: median(alls) / 1000, formulaS: all / 1000 },
        ...{ leastS: Math.min(...alls) / 1000, mostS: Math.max(...alls) / 1000 },
      }),
      ratio: mean(alls) / all,
    },
  ];
}

interface Detection {
  readonly firstMs: number;
  readonly allMs: number;
}

/** All members but the victim, in this process, and what they see of it. */
class Observers implements AsyncDisposable {
  falsePositives = 0;
  readonly #lists: Memberlist[] = [];
  #seenAlive = new Set<string>();
  #seenDead = new Map<string, number>();
  #wake: () => void = () => undefined;
  #killedMs = Infinity;
  #port = 0;

  static async create(profile: Profile): Promise<Observers> {
    const observers = new Observers();
    for (let at = 1; at < MEMBERS; at++) await observers.#add(`member-${String(at)}`, profile);
    return observers;
  }

  /** Starts the victim, kills it after a while and waits until all know. */
  async life(profile: ProfileName, livesMs: number): Promise<Detection> {
    this.#killedMs = Infinity;
    this.#seenAlive = new Set();
    this.#seenDead = new Map();
    const child = this.#victim(profile);
    const ended = once(child, 'exit');
    try {
      await this.#until(() => this.#seenAlive.size === this.#lists.length);
      await sleep(livesMs);
      this.#killedMs = performance.now();
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    await this.#until(() => this.#seenDead.size === this.#lists.length);
    const seen = [...this.#seenDead.values()].map((atMs) => atMs - this.#killedMs);
    return { firstMs: Math.min(...seen), allMs: Math.max(...seen) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#lists.map((list) => list.stop()));
  }

  /** Always at the same port: it comes back under its name. */
  #victim(profile: ProfileName): ChildProcess {
    const [seed] = this.#lists;
    if (!seed) throw new Error('there is nobody to join');
    const args = [VICTIM, String(this.#port), profile, endpointText(seed.localMember())];
    return spawn(process.execPath, [PROCESS, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  async #add(name: string, profile: Profile): Promise<void> {
    const list = await Memberlist.create({
      ...{ name, port: 0, profile },
      onChange: (change) => {
        this.#heard(name, change);
      },
    });
    const [seed] = this.#lists;
    if (seed) await list.join([endpointText(seed.localMember())]);
    this.#lists.push(list);
  }

  #heard(by: string, { kind, member }: MemberChange): void {
    const isVictim = member.name === VICTIM;
    if (kind === 'join' && isVictim) {
      this.#port = member.port;
      this.#seenAlive.add(by);
    }
    if (kind === 'fail' && isVictim && this.#killedMs < Infinity)
      this.#seenDead.set(by, performance.now());
    else if (kind === 'fail') this.falsePositives++;
    this.#wake();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}

function ratios(samples: readonly number[], by: number): number[] {
  return samples.map((sample) => sample / by);
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
}
