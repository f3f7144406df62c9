import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { Member } from './coordinator.js';
import { Listeners } from './listeners.js';
import { decodeRecord, orderMembers, orderNames, sameMembers } from './members.js';
import type { ZnodeName } from './members.js';
import { Reconciler } from './reconciler.js';
import type { Session } from './session.js';
import { failedWith } from './zookeeper-error.js';

export interface RegistryOptions {
  /** Folder of the types: `/fractory/<data center>/members`. It exists. */
  readonly path: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** The members of one type as last seen. */
interface Cluster {
  readonly reconciler: Reconciler;
  /** By name of the znode. A name is never used twice and its data never changes, so what was read once stays true. */
  readonly members: Map<string, Member>;
}

/** A cache of all members of all types that watches keep fresh. Read anew at each `connected`. */
export class Registry {
  readonly #session: Session;
  readonly #options: RegistryOptions;
  readonly #clusters = new Map<string, Cluster>();
  readonly #listeners = new Listeners<[readonly Member[]]>();
  readonly #types: Reconciler;
  #unsubscribe: () => void = () => undefined;
  #members: readonly Member[] = [];

  constructor(session: Session, options: RegistryOptions) {
    this.#session = session;
    this.#options = options;
    this.#types = this.#reconciler(options.path, () => this.#readTypes());
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  onMembers(listener: (members: readonly Member[]) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Begins to follow the members; resolves when all types have been read once. To be called once. */
  async read(): Promise<void> {
    this.#unsubscribe = this.#session.onState((state) => {
      if (state === 'connected') this.#requestAll();
    });
    await this.#types.completed();
    await Promise.all(
      [...this.#clusters.values()].map((cluster) => cluster.reconciler.completed()),
    );
  }

  /** Resolves when the members of one type have been read after now. */
  async readType(type: string): Promise<void> {
    await this.#cluster(type).reconciler.completed();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#listeners.clear();
    const clusters = [...this.#clusters.values()].map(({ reconciler }) => reconciler.stop());
    await Promise.all([this.#types.stop(), ...clusters]);
  }

  #requestAll(): void {
    this.#types.request();
    for (const { reconciler } of this.#clusters.values()) reconciler.request();
  }

  // One function each, for ever: the library takes the same function as the same watch.
  readonly #onTypesChange = (): void => {
    this.#types.request();
  };

  async #readTypes(): Promise<void> {
    const types = await this.#session.children(this.#options.path, this.#onTypesChange);
    for (const type of types)
      if (!this.#clusters.has(type)) this.#cluster(type).reconciler.request();
  }

  #cluster(type: string): Cluster {
    const known = this.#clusters.get(type);
    if (known) return known;
    const onChange = (): void => {
      reconciler.request();
    };
    const reconciler = this.#reconciler(type, () => this.#readCluster(type, onChange));
    const cluster = { reconciler, members: new Map<string, Member>() };
    this.#clusters.set(type, cluster);
    return cluster;
  }

  async #readCluster(type: string, onChange: () => void): Promise<void> {
    const path = `${this.#options.path}/${type}`;
    const { members } = this.#cluster(type);
    const names = orderNames(await this.#session.children(path, onChange));
    const present = new Set(names.map(({ name }) => name));
    const unknown = names.filter(({ name }) => !members.has(name));
    const read = await Promise.all(unknown.map((name) => this.#readMember(path, name)));
    for (const name of members.keys()) if (!present.has(name)) members.delete(name);
    for (const [name, member] of read.filter((one) => one !== undefined)) members.set(name, member);
    this.#publish();
  }

  async #readMember(path: string, znode: ZnodeName): Promise<[string, Member] | undefined> {
    const found = await this.#session.read(`${path}/${znode.name}`);
    if (!found) return undefined;
    const record = decodeRecord(found.data.toString());
    if (typeof record !== 'string')
      return [znode.name, { ...record, epoch: found.czxid, sequence: znode.sequence }];
    this.#options.log.warn({ znode: znode.name, problem: record }, 'not a member');
    return undefined;
  }

  #publish(): void {
    const all = [...this.#clusters.values()].flatMap(({ members }) => [...members.values()]);
    const ordered = orderMembers(all);
    if (sameMembers(ordered, this.#members)) return;
    this.#members = ordered;
    this.#listeners.notify(ordered);
  }

  #reconciler(what: string, work: () => Promise<void>): Reconciler {
    return new Reconciler(work, {
      clock: this.#options.clock ?? systemClock,
      onError: (error, attempt) => {
        // At the next `connected` everything is read anew anyway.
        const level = failedWith(error, 'connection-loss', 'session-lost') ? 'debug' : 'warn';
        this.#options.log[level]({ err: error, what, attempt }, 'reading members failed');
      },
    });
  }
}
