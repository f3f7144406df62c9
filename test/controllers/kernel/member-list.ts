import type { Coordinator, Member, Registration } from '../../../zookeeper/coordinator.js';

/** A member as tests want it. */
export function member(id: string, fields: Partial<Member> = {}): Member {
  return {
    ...{ id, type: id.split('-', 1)[0] ?? '', address: `127.0.0.1:${String(id.length)}` },
    ...{
      metricsAddress: '',
      dataAddress: '',
      pid: 1,
      instance: id,
      version: '0',
      startedAt: '',
      routing: 'any',
    },
    ...{ epoch: 1n, sequence: 1 },
    ...fields,
  };
}

/** A coordinator whose list of members the test writes. */
export class MemberList implements Coordinator {
  readonly kind = 'embedded';
  readonly state = 'connected';
  readonly sessionTimeoutMs = 60_000;
  readonly #listeners = new Set<(members: readonly Member[]) => void>();
  #members: readonly Member[];

  constructor(...members: readonly Member[]) {
    this.#members = members;
  }

  /** How many listen. */
  get listeners(): number {
    return this.#listeners.size;
  }

  set(...members: readonly Member[]): void {
    this.#members = members;
    for (const listener of [...this.#listeners]) listener(members);
  }

  members(): readonly Member[] {
    return this.#members;
  }

  onMembers(listener: (members: readonly Member[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onState(): () => void {
    return () => undefined;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  register(): Promise<Registration> {
    return Promise.reject(new Error('nobody registers here'));
  }

  removeMember(id: string, instance: string): Promise<boolean> {
    const left = this.#members.filter((one) => one.id !== id || one.instance !== instance);
    const removed = left.length < this.#members.length;
    if (removed) this.set(...left);
    return Promise.resolve(removed);
  }

  expireSession(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
