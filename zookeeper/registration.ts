import path from 'node:path';

import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import { unavailable } from '../runtime/errors.js';
import type { Logger } from '../runtime/logger.js';
import type { ConnectionState, Member, MemberRecord, Registration } from './coordinator.js';
import type { DataCenterRoot } from './data-center-root.js';
import { standpointOf } from './election.js';
import { Listeners } from './listeners.js';
import {
  encodeZnode,
  epochOf,
  nameOf,
  orderNames,
  parseName,
  planRegistration,
  predecessorOf,
} from './members.js';
import type { Standing } from './members.js';
import { Reconciler } from './reconciler.js';
import type { Registry } from './registry.js';
import type { Session } from './session.js';
import { failedWith } from './zookeeper-error.js';

export interface RegistrationOptions {
  readonly root: DataCenterRoot;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Hears of every failed attempt to register. */
  readonly onError: (error: unknown) => void;
  readonly onWithdrawn: () => void;
}

/** Keeps one member registered: through reconnects, after a lost session, and against leftovers of its earlier lives. */
export class ZooKeeperRegistration implements Registration {
  readonly #record: MemberRecord;
  readonly #session: Session;
  readonly #registry: Registry;
  readonly #options: RegistrationOptions;
  readonly #listeners = new Listeners<[Registration]>();
  readonly #reconciler: Reconciler;
  readonly #unsubscribe: () => void;
  #member: Member | undefined;
  #leads = false;
  #lastEpoch: bigint | undefined;
  /** Registrations up to this epoch are not good enough: one is left and made again. */
  #aboveEpoch = 0n;
  /** A later life of this member is registered. */
  #yields = false;
  #withdrawn: Promise<void> | undefined;

  constructor(
    record: MemberRecord,
    session: Session,
    registry: Registry,
    options: RegistrationOptions,
  ) {
    this.#record = record;
    this.#session = session;
    this.#registry = registry;
    this.#options = options;
    this.#reconciler = new Reconciler(() => this.#reconcile(), {
      clock: options.clock ?? systemClock,
      onError: (error) => {
        const level = failedWith(error, 'connection-loss', 'session-lost') ? 'debug' : 'warn';
        options.log[level]({ err: error, member: record.id }, 'registering failed');
        options.onError(error);
      },
    });
    this.#unsubscribe = session.onState((state) => {
      this.#onState(state);
    });
  }

  get member(): Member | undefined {
    return this.#member;
  }

  get leads(): boolean {
    return this.#leads && this.#session.isFresh();
  }

  get leadsUntilMs(): number {
    return this.#session.aliveUntilMs;
  }

  subscribe(listener: (registration: Registration) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Resolves when the member is in the registry. */
  async register(): Promise<void> {
    // A run that found its session over in the middle ends without a member; another was asked for.
    do await this.#reconciler.completed();
    while (!this.#isRegistered && !this.#yields && !this.#reconciler.stopped);
    await this.#registry.readType(this.#record.type);
  }

  get #isRegistered(): boolean {
    return this.#member !== undefined && this.#member.epoch > this.#aboveEpoch;
  }

  async renew(above = 0n): Promise<void> {
    if (this.#withdrawn || !this.#hasSession || !this.#member)
      throw unavailable('NO_SESSION', `${this.#record.id} has no session to register again in`);
    for (const epoch of [above, this.#lastEpoch ?? 0n])
      if (epoch > this.#aboveEpoch) this.#aboveEpoch = epoch;
    this.#become(this.#member, false);
    await this.register();
  }

  withdraw(): Promise<void> {
    this.#withdrawn ??= this.#withdraw();
    return this.#withdrawn;
  }

  /** Ends without a word to the server: the session is about to end anyway. */
  async abandon(): Promise<void> {
    this.#withdrawn ??= Promise.resolve();
    this.#unsubscribe();
    const stopped = this.#reconciler.stop();
    this.#become(undefined, false);
    this.#listeners.clear();
    await stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.withdraw();
  }

  async #withdraw(): Promise<void> {
    this.#unsubscribe();
    this.#leads = false;
    await this.#reconciler.stop();
    // A failure means a broken session (the server ends the registration) or a closed one (it has).
    const { generation } = this.#session;
    while (this.#session.generation === generation && this.#hasSession) {
      try {
        await this.#removeOwn();
        await this.#registry.readType(this.#record.type);
        break;
      } catch (error) {
        this.#options.log.debug({ err: error, member: this.#record.id }, 'withdrawing failed');
        if (!failedWith(error, 'connection-loss', 'timeout')) break;
      }
    }
    this.#become(undefined, false);
    this.#listeners.clear();
    this.#options.onWithdrawn();
  }

  get #hasSession(): boolean {
    return this.#session.state === 'connected' || this.#session.state === 'suspended';
  }

  #onState(state: ConnectionState): void {
    if (state === 'connected') this.#reconciler.request();
    else this.#become(state === 'suspended' ? this.#member : undefined, false);
  }

  #become(member: Member | undefined, leads: boolean): void {
    const changed = this.#member?.epoch !== member?.epoch || this.#leads !== leads;
    this.#member = member;
    this.#leads = leads;
    if (member) this.#lastEpoch = member.epoch;
    if (changed) this.#listeners.notify(this);
  }

  readonly #onChange = (): void => {
    this.#reconciler.request();
  };

  async #reconcile(): Promise<void> {
    const { generation } = this.#session;
    await this.#leadAtOnce(generation);
    // A write first: it goes through the leader, and so the list below shows a znode whose creation was never answered.
    await this.#options.root.ensureType(this.#record.type);
    const standings = await this.#standings();
    const plan = planRegistration(standings, this.#session.id, this.#lastEpoch, this.#aboveEpoch);
    for (const name of plan.remove) {
      this.#options.log.info({ znode: name }, 'removing an earlier registration');
      await this.#session.remove(this.#pathOf(name));
    }
    this.#yields = plan.action.kind === 'yield';
    if (plan.action.kind === 'yield') return this.#yieldTo(plan.action.to);
    const standing = plan.action.kind === 'keep' ? plan.action.standing : await this.#create();
    if (!standing) {
      this.#reconciler.request();
      return;
    }
    const standpoint = await standpointOf(
      this.#session,
      { path: this.#path, own: standing.name },
      this.#onChange,
    );
    // What was read in a session that is over says nothing about this one; `connected` has asked for another run.
    if (this.#session.generation !== generation || this.#reconciler.stopped) return;
    if (standpoint === 'absent') {
      this.#reconciler.request();
      return;
    }
    const { epoch, sequence } = standing;
    this.#become(
      { ...this.#record, epoch, sequence },
      standpoint === 'leads' && this.#session.isFresh(),
    );
  }

  /** One look before all else: whoever waited and finds nobody before it leads, whatever the rest will say. */
  async #leadAtOnce(generation: number): Promise<void> {
    const member = this.#member;
    if (!member || this.#leads || !this.#isRegistered || !this.#session.isFresh()) return;
    const own = nameOf(member);
    const names = await this.#session.children(this.#path).catch((error: unknown) => {
      if (failedWith(error, 'no-node')) return [] as string[];
      throw error;
    });
    if (!names.includes(own) || predecessorOf(names, own) !== undefined) return;
    const isStill = this.#member === member && this.#session.generation === generation;
    if (isStill && !this.#reconciler.stopped) this.#become(member, this.#session.isFresh());
  }

  async #yieldTo(name: string): Promise<void> {
    this.#options.log.warn({ znode: name }, 'a later life of this member is registered');
    this.#become(undefined, false);
    if (!(await this.#session.watch(this.#pathOf(name), this.#onChange)))
      this.#reconciler.request();
  }

  /** Undefined where another run has to look again. */
  async #create(): Promise<Standing | undefined> {
    const { root } = this.#options;
    const base = await root.epochBase();
    const created = await this.#session.create(
      this.#pathOf(`${this.#record.id}-`),
      Buffer.from(encodeZnode(this.#record, base)),
      { mode: 'ephemeral-sequential' },
    );
    const standing = await this.#standing(path.posix.basename(created));
    if (!standing || standing.epoch > this.#bound) return standing;
    await this.#session.remove(created);
    await root.raiseEpochs(this.#bound);
    return undefined;
  }

  /** The next epoch is greater. */
  get #bound(): bigint {
    const last = this.#lastEpoch ?? 0n;
    return last > this.#aboveEpoch ? last : this.#aboveEpoch;
  }

  async #standings(): Promise<Standing[]> {
    const names = orderNames(await this.#session.children(this.#path));
    const own = names.filter(({ id }) => id === this.#record.id);
    const found = await Promise.all(own.map(({ name }) => this.#standing(name)));
    return found.filter((standing) => standing !== undefined);
  }

  async #standing(name: string): Promise<Standing | undefined> {
    const znode = await this.#session.read(this.#pathOf(name));
    const parsed = parseName(name);
    if (!znode || !parsed) return undefined;
    const epoch = epochOf(znode.data.toString(), znode.czxid);
    return { name, epoch, owner: znode.owner, sequence: parsed.sequence };
  }

  /** First the one that is known: whoever comes next leads from then on. Then what else may be there, such as one whose creation was never answered. */
  async #removeOwn(): Promise<void> {
    const member = this.#member;
    if (member) await this.#session.remove(this.#pathOf(nameOf(member)));
    await this.#options.root.ensureType(this.#record.type);
    for (const { name, owner } of await this.#standings())
      if (owner === this.#session.id) await this.#session.remove(this.#pathOf(name));
  }

  get #path(): string {
    return `${this.#options.root.membersPath}/${this.#record.type}`;
  }

  #pathOf(name: string): string {
    return `${this.#path}/${name}`;
  }
}
