import { describeOperation } from '../../../controllers/kernel/controller-service.js';
import { RIGHT_INVOKE } from '../../../controllers/kernel/capabilities/token.js';
import { Directory } from '../../../controllers/kernel/directory.js';
import type { MemberKey } from '../../../controllers/kernel/directory.js';
import type { KernelAccess, RootGrant } from '../../../controllers/kernel/device.js';
import type { Release } from '../../../protos/gen/fractory/v1/controller.js';
import type { Member } from '../../../zookeeper/coordinator.js';
import type { Operation } from '../../../services/adaptor.js';
import { Kernels } from '../kernel/kernels.js';
import { member, MemberList } from '../kernel/member-list.js';

const APPLICATION = 'application-1';

/** The kernel access of an application node whose peers are kernels in memory. */
export class MemoryAccess implements KernelAccess {
  readonly world: Kernels;
  readonly list = new MemberList();
  readonly directory: Directory;
  readonly suspected: string[] = [];
  /** What members were told that runs need no more. */
  readonly released: ({ readonly member: string } & Release)[] = [];
  /** Called before each connect; may throw. */
  beforeConnect: (member: Member) => void = () => undefined;
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #epochListeners = new Set<() => void>();
  #epoch = 1n;

  constructor(limits: ConstructorParameters<typeof Kernels>[0] = {}) {
    this.world = new Kernels(limits);
    this.world.add(APPLICATION, [], this.#epoch);
    this.directory = new Directory(this.list, this.world.clock);
  }

  get limits() {
    return this.world.limits;
  }

  /** How many watch a member or the epoch. */
  get listeners(): number {
    let sum = this.#epochListeners.size;
    for (const watchers of this.#watchers.values()) sum += watchers.size;
    return sum;
  }

  /** A member with these operations joins. */
  join(id: string, operations: readonly Operation[], sequence = 1): void {
    this.world.add(id, operations, 7n);
    this.list.set(...this.list.members(), member(id, { epoch: 7n, sequence }));
  }

  /** A member dies: it answers nobody, and later the list says so. */
  lose(id: string): void {
    this.world.lost.add(id);
    const watchers = [...(this.#watchers.get(id) ?? [])];
    this.#watchers.delete(id);
    this.list.set(...this.list.members().filter((one) => one.id !== id));
    for (const listener of watchers) listener();
  }

  /** The application node registers again. */
  beginEpoch(epoch: bigint): void {
    this.#epoch = epoch;
    this.world.place(APPLICATION).objects.begin(epoch);
    for (const listener of [...this.#epochListeners]) listener();
  }

  epoch(): bigint {
    return this.#epoch;
  }

  onEpoch(listener: () => void): () => void {
    this.#epochListeners.add(listener);
    return () => this.#epochListeners.delete(listener);
  }

  /** Whether the application node leads; the listeners hear when it begins to. */
  isLeader = true;
  readonly #leadsListeners = new Set<() => void>();

  leads(): boolean {
    return this.isLeader;
  }

  onLeads(listener: () => void): () => void {
    this.#leadsListeners.add(listener);
    return () => this.#leadsListeners.delete(listener);
  }

  /** The application node begins to lead. */
  lead(): void {
    this.isLeader = true;
    for (const listener of [...this.#leadsListeners]) listener();
  }

  members(): readonly Member[] {
    return this.directory.members();
  }

  onMembers(listener: () => void): () => void {
    return this.directory.subscribe(listener);
  }

  /** What it is to be above. */
  readonly steppedBack: bigint[] = [];

  stepBack(above: bigint): Promise<void> {
    this.steppedBack.push(above);
    return Promise.resolve();
  }

  observe: KernelAccess['observe'] = (key, observation) => {
    this.directory.observe(key, observation);
  };

  standingOf: KernelAccess['standingOf'] = (key) => this.directory.standingOf(key);

  pick(type: string): Member {
    return this.directory.pick(type);
  }

  suspect(suspect: MemberKey): void {
    this.suspected.push(suspect.id);
    this.directory.suspect(suspect);
  }

  connect(to: Member): Promise<ReadonlyMap<string, RootGrant>> {
    this.beforeConnect(to);
    const grants = new Map<string, RootGrant>();
    const { objects } = this.world.place(to.id);
    for (const [name, capability] of objects.roots) {
      const { object } = objects.use(capability, RIGHT_INVOKE);
      if (object.kind === 'operation')
        grants.set(name, { operation: describeOperation(object.operation.spec), capability });
    }
    return Promise.resolve(grants);
  }

  addReply: KernelAccess['addReply'] = (settle, ends) =>
    this.world.place(APPLICATION).objects.addReply(settle, ends);

  /** The clock of the kernels stands still, that of the runner goes on. */
  continueWith: KernelAccess['continueWith'] = (heads, value, rest) =>
    this.world.place(APPLICATION).kernel.continueWith(heads, value, {
      ...rest,
      deadlineMs: this.world.clock.now() + rest.deadlineMs - Date.now(),
    });

  release: KernelAccess['release'] = (to, release) => {
    this.released.push({ member: to.id, ...release });
    this.world.place(APPLICATION).kernel.sendRelease(to, release);
  };

  /** Replaces how values are fetched. */
  pull: KernelAccess['memory']['pull'] | undefined;

  get memory(): KernelAccess['memory'] {
    const { memory } = this.world.place(APPLICATION);
    const { pull } = this;
    return pull ? Object.assign(Object.create(memory) as KernelAccess['memory'], { pull }) : memory;
  }

  dispatch: KernelAccess['dispatch'] = (invocation, settle) => {
    this.world.place(APPLICATION).kernel.dispatch(invocation, settle);
  };

  watch({ id }: { readonly id: string }, listener: () => void): () => void {
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers);
    watchers.add(listener);
    return () => watchers.delete(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.world[Symbol.asyncDispose]();
  }
}
