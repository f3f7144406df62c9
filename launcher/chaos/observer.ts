import { setMaxListeners } from 'node:events';

import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import { sleep } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import type { HealthProbe } from '../health-probe.js';
import type { ChaosCalls } from './chaos-calls.js';
import type { Experiment } from './experiment.js';

const LOOK_MS = 10;
const ASK_TIMEOUT_MS = 1000;
/** The name of our own list of members. */
const OWN = 'chaos';

/**
 * Writes down who joins, leaves and leads, as the coordinator tells everybody, and when a new leader serves. Dispose it to end.
 */
export class Observer implements Disposable {
  readonly #coordinator: Pick<Coordinator, 'members' | 'onMembers'>;
  readonly #probe: Pick<HealthProbe, 'check'>;
  readonly #calls: Pick<ChaosCalls, 'members' | 'retain'>;
  readonly #serverServes: (name: string) => Promise<boolean>;
  readonly #experiment: Experiment;
  readonly #stop: AbortController = new AbortController();
  readonly #unsubscribe: () => void;
  #known: readonly Member[];

  constructor(
    experiment: Experiment,
    parts: {
      readonly coordinator: Pick<Coordinator, 'members' | 'onMembers'>;
      readonly probe: Pick<HealthProbe, 'check'>;
      readonly calls: Pick<ChaosCalls, 'members' | 'retain'>;
      /** Whether a server of ZooKeeper serves. Default: unknown, none does. */
      readonly serverServes?: (name: string) => Promise<boolean>;
    },
  ) {
    this.#experiment = experiment;
    setMaxListeners(0, this.#stop.signal);
    this.#coordinator = parts.coordinator;
    this.#probe = parts.probe;
    this.#calls = parts.calls;
    this.#serverServes = parts.serverServes ?? (() => Promise.resolve(false));
    this.#known = this.#coordinator.members();
    this.#unsubscribe = this.#coordinator.onMembers((members) => {
      this.#changed(members);
    });
  }

  /** Writes `noticed` for each list of members without this life: ours, and those of the other application nodes of now. Ends with the observer. */
  async watchLoss(fault: number, { id, epoch }: Member): Promise<void> {
    const others = this.#coordinator
      .members()
      .filter((one) => one.type === 'application' && one.id !== id);
    const noticed = (by: string): void => {
      this.#experiment.record({ event: 'noticed', fault, by });
    };
    const lacks = (members: readonly { id: string; epoch: bigint }[]): boolean =>
      !members.some((one) => one.id === id && one.epoch === epoch);
    await Promise.all([
      this.#until(() => lacks(this.#coordinator.members())).then(() => {
        noticed(OWN);
      }),
      ...others.map((other) =>
        this.#until(async () => this.#isGone(other) || lacks(await this.#listOf(other))).then(
          () => {
            if (!this.#isGone(other)) noticed(other.id);
          },
        ),
      ),
    ]).catch(this.#ignoreEnd);
  }

  /** Writes `back` when the member has another life than this one, and that serves. */
  async watchReturn(fault: number, { id, epoch }: Pick<Member, 'id' | 'epoch'>): Promise<void> {
    await this.#until(async () => {
      const member = this.#coordinator.members().find((one) => one.id === id);
      if (!member || member.epoch === epoch) return false;
      return (await this.#probe.check(member.address, ASK_TIMEOUT_MS)) === 'SERVING';
    })
      .then(() => {
        this.#experiment.record({ event: 'back', fault });
      })
      .catch(this.#ignoreEnd);
  }

  /** Writes `back` when a server of ZooKeeper that was killed serves again. */
  async watchServer(fault: number, name: string): Promise<void> {
    await this.#until(async () => !(await this.#serverServes(name)))
      .then(() => this.#until(() => this.#serverServes(name)))
      .then(() => {
        this.#experiment.record({ event: 'back', fault });
      })
      .catch(this.#ignoreEnd);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#stop.abort();
  }

  #changed(members: readonly Member[]): void {
    const before = this.#known;
    this.#known = members;
    this.#calls.retain(new Set(members.map(({ address }) => address)));
    for (const member of before)
      if (!has(members, member)) this.#experiment.record({ event: 'left', ...factsOf(member) });
    for (const member of members)
      if (!has(before, member)) this.#experiment.record({ event: 'joined', ...factsOf(member) });
    for (const type of new Set(members.map((member) => member.type))) {
      const leader = leaderOf(members, type);
      if (!leader || leader.routing !== 'leader') continue;
      if (leaderOf(before, type)?.epoch === leader.epoch) continue;
      this.#experiment.record({ event: 'leads', ...factsOf(leader) });
      void this.#watchService(leader).catch(this.#ignoreEnd);
    }
  }

  async #watchService(leader: Member): Promise<void> {
    await this.#until(
      async () =>
        !has(this.#coordinator.members(), leader) ||
        (await this.#probe.check(leader.address, ASK_TIMEOUT_MS)) === 'SERVING',
    );
    if (has(this.#coordinator.members(), leader))
      this.#experiment.record({ event: 'serves', ...factsOf(leader) });
  }

  async #listOf({ address }: Member): Promise<readonly { id: string; epoch: bigint }[]> {
    try {
      return await this.#calls.members(address, ASK_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      return this.#known;
    }
  }

  #isGone(member: Member): boolean {
    return !has(this.#coordinator.members(), member);
  }

  async #until(holds: () => boolean | Promise<boolean>): Promise<void> {
    const { signal } = this.#stop;
    while (!(await holds())) await sleep(LOOK_MS, signal);
    signal.throwIfAborted();
  }

  /** What is waited for when the observer ends doesn't come any more. */
  readonly #ignoreEnd = (error: unknown): void => {
    if (!this.#stop.signal.aborted) throw error;
  };
}

function has(members: readonly Member[], { id, epoch }: Member): boolean {
  return members.some((member) => member.id === id && member.epoch === epoch);
}

function factsOf({ id, type, epoch }: Member): { member: string; type: string; epoch: string } {
  return { member: id, type, epoch: String(epoch) };
}
