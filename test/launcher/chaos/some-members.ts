import type { Member } from '../../../zookeeper/coordinator.js';

/** A registered member with only what counts here. */
export function someMember(id: string, epoch: bigint, sequence = Number(epoch)): Member {
  const type = id.replace(/-\d+$/, '');
  return {
    ...{ id, type, epoch, sequence, pid: 1, instance: id, version: '0', startedAt: '' },
    ...{ address: `127.0.0.1:${String(epoch)}`, metricsAddress: '', dataAddress: '' },
    routing: type === 'storage' || type === 'application' ? 'leader' : 'any',
  };
}

/** A list of members that tests change. */
export class MemberList {
  #members: readonly Member[];
  readonly #listeners = new Set<(members: readonly Member[]) => void>();

  constructor(...members: Member[]) {
    this.#members = members;
  }

  members(): readonly Member[] {
    return this.#members;
  }

  onMembers(listener: (members: readonly Member[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  become(...members: Member[]): void {
    this.#members = members;
    for (const listener of [...this.#listeners]) listener(members);
  }
}
