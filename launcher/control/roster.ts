import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';

/** The launcher's own look at who is there, for as long as its data center runs. Owns the connection to the coordinator. */
export class Roster implements AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly #ports = new Map<string, number>();

  constructor(coordinator: Coordinator) {
    this.coordinator = coordinator;
  }

  async start(timeoutMs: number): Promise<void> {
    this.coordinator.onMembers((members) => {
      this.#note(members);
    });
    await this.coordinator.start(timeoutMs);
    this.#note(this.coordinator.members());
  }

  members(): readonly Member[] {
    return this.coordinator.members();
  }

  /** The member that this process is; undefined where it isn't registered. */
  find({ name, pid }: { readonly name: string; readonly pid: number }): Member | undefined {
    return this.members().find((member) => member.id === name && member.pid === pid);
  }

  leader(type: string): Member | undefined {
    return leaderOf(this.members(), type);
  }

  /** The port at which a member served last; 0 if it never did. */
  lastPort(name: string): number {
    return this.#ports.get(name) ?? 0;
  }

  /** Takes out a life whose process has ended, so that nobody has to wait for the end of its session. */
  async forget(life: { readonly name: string; readonly pid: number }): Promise<void> {
    const member = this.find(life);
    if (member) await this.coordinator.removeMember(member.id, member.instance);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.coordinator.close();
  }

  #note(members: readonly Member[]): void {
    for (const { id, address } of members) this.#ports.set(id, Number(address.split(':').at(-1)));
  }
}
