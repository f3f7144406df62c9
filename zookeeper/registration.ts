import path from 'node:path';

import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { ConnectionState, Member, MemberRecord, Registration } from './coordinator.js';
import { standpointOf } from './election.js';
import { Listeners } from './listeners.js';
import { encodeRecord, orderNames, parseName, planRegistration } from './members.js';
import type { Standing } from './members.js';
import { Reconciler } from './reconciler.js';
import type { Registry } from './registry.js';
import type { Session } from './session.js';
import { failedWith } from './zookeeper-error.js';

export interface RegistrationOptions {
  /** Folder of the member's type: `/fractory/<data center>/members/<type>`. */
  readonly path: string;
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

  subscribe(listener: (registration: Registration) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Resolves when the member is in the registry. */
  async register(): Promise<void> {
    // A run that found its session over in the middle ends without a member; another was asked for.
    do await this.#reconciler.completed();
    while (!this.#member && !this.#reconciler.stopped);
    await this.#registry.readType(this.#record.type);
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
    // A write first: it goes through the leader, and so the list below shows a znode whose creation was never answered.
    await this.#session.ensure(this.#options.path);
    const plan = planRegistration(await this.#standings(), this.#session.id, this.#lastEpoch);
    for (const name of plan.remove) {
      this.#options.log.info({ znode: name }, 'removing an earlier registration');
      await this.#session.remove(this.#pathOf(name));
    }
    if (plan.action.kind === 'yield') return this.#yieldTo(plan.action.to);
    const standing = plan.action.kind === 'keep' ? plan.action.standing : await this.#create();
    if (!standing) {
      this.#reconciler.request();
      return;
    }
    const standpoint = await standpointOf(
      this.#session,
      { path: this.#options.path, own: standing.name },
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

  async #yieldTo(name: string): Promise<void> {
    this.#options.log.warn({ znode: name }, 'a later life of this member is registered');
    this.#become(undefined, false);
    if (!(await this.#session.watch(this.#pathOf(name), this.#onChange)))
      this.#reconciler.request();
  }

  async #create(): Promise<Standing | undefined> {
    const created = await this.#session.create(
      this.#pathOf(`${this.#record.id}-`),
      Buffer.from(encodeRecord(this.#record)),
      { mode: 'ephemeral-sequential' },
    );
    return this.#standing(path.posix.basename(created));
  }

  async #standings(): Promise<Standing[]> {
    const names = orderNames(await this.#session.children(this.#options.path));
    const own = names.filter(({ id }) => id === this.#record.id);
    const found = await Promise.all(own.map(({ name }) => this.#standing(name)));
    return found.filter((standing) => standing !== undefined);
  }

  async #standing(name: string): Promise<Standing | undefined> {
    const znode = await this.#session.read(this.#pathOf(name));
    const parsed = parseName(name);
    if (!znode || !parsed) return undefined;
    return { name, epoch: znode.czxid, owner: znode.owner, sequence: parsed.sequence };
  }

  async #removeOwn(): Promise<void> {
    await this.#session.ensure(this.#options.path);
    for (const { name, owner } of await this.#standings())
      if (owner === this.#session.id) await this.#session.remove(this.#pathOf(name));
  }

  #pathOf(name: string): string {
    return `${this.#options.path}/${name}`;
  }
}
