import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { Member } from './coordinator.js';
import { Listeners } from './listeners.js';
import type { DataCenterRoot } from './data-center-root.js';
import { decodeRecord, epochOf, orderMembers, orderNames, sameMembers } from './members.js';
import type { ZnodeName } from './members.js';
import { Reconciler } from './reconciler.js';
import type { Session } from './session.js';
import { failedWith } from './zookeeper-error.js';

export interface RegistryOptions {
  /** It exists at the start. */
  readonly root: DataCenterRoot;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** The members of one type as last seen. */
interface Cluster {
  readonly reconciler: Reconciler;
  /**
   * By name of the znode. A name is never used twice and its data never changes, so what was read once stays true for as long as ZooKeeper keeps
   * its data: at each new session everything is read anew.
   */
  members: Map<string, Member>;
  /** The session in which they were read. */
  generation: number;
  /** False where its folder is missing: ZooKeeper was wiped, and the news of the types will tell. */
  watched: boolean;
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
    this.#types = this.#reconciler(options.root.membersPath, () => this.#readTypes());
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
    const { root } = this.#options;
    const types = await this.#childrenOf(root.membersPath, this.#onTypesChange);
    // ZooKeeper was wiped: there is nothing yet, and so nothing to watch.
    if (!types) return root.ensure().then(this.#onTypesChange);
    for (const type of types)
      if (this.#clusters.get(type)?.watched !== true) this.#cluster(type).reconciler.request();
  }

  #cluster(type: string): Cluster {
    const known = this.#clusters.get(type);
    if (known) return known;
    const onChange = (): void => {
      reconciler.request();
    };
    const reconciler = this.#reconciler(type, () => this.#readCluster(type, onChange));
    const members = new Map<string, Member>();
    const cluster: Cluster = { reconciler, members, watched: true, generation: 0 };
    this.#clusters.set(type, cluster);
    return cluster;
  }

  async #readCluster(type: string, onChange: () => void): Promise<void> {
    const path = `${this.#options.root.membersPath}/${type}`;
    const cluster = this.#cluster(type);
    const { generation } = this.#session;
    const members = cluster.generation === generation ? cluster.members : new Map<string, Member>();
    const children = await this.#childrenOf(path, onChange);
    cluster.watched = children !== undefined;
    const names = orderNames(children ?? []);
    const present = new Set(names.map(({ name }) => name));
    const unknown = names.filter(({ name }) => !members.has(name));
    const read = await Promise.all(unknown.map((name) => this.#readMember(path, name)));
    for (const name of members.keys()) if (!present.has(name)) members.delete(name);
    for (const [name, member] of read.filter((one) => one !== undefined)) members.set(name, member);
    cluster.members = members;
    cluster.generation = generation;
    this.#publish();
  }

  /** Undefined if there is no such folder. */
  async #childrenOf(path: string, onChange: () => void): Promise<readonly string[] | undefined> {
    try {
      return await this.#session.children(path, onChange);
    } catch (error) {
      if (failedWith(error, 'no-node')) return undefined;
      throw error;
    }
  }

  async #readMember(path: string, znode: ZnodeName): Promise<[string, Member] | undefined> {
    const found = await this.#session.read(`${path}/${znode.name}`);
    if (!found) return undefined;
    const data = found.data.toString();
    const record = decodeRecord(data);
    if (typeof record !== 'string') {
      const epoch = epochOf(data, found.czxid);
      return [znode.name, { ...record, epoch, sequence: znode.sequence }];
    }
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
