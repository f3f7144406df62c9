import { status } from '@grpc/grpc-js';

import { toFractoryError } from '../../protos/status.js';
import { backoffMs } from '../../runtime/backoff.js';
import type { ChannelPool } from '../../runtime/channels.js';
import { unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { ClientClass, Peers, ThisMember } from './device.js';
import type { Directory } from './directory.js';
import { Retries } from './retries.js';

/** Whether another member, or the same a little later, may answer what this one could not. */
export function isWorthRetrying(error: FractoryError): boolean {
  return (
    error.code === status.UNAVAILABLE ||
    error.reason === 'NOT_LEADER' ||
    error.reason === 'FENCED' ||
    error.reason === 'STALE_OWNER'
  );
}

/** Whether a failure speaks against the member that tells it: late, or broken inside. Members that it could not reach speak against themselves. */
export function isToBlame({ code, reason }: FractoryError): boolean {
  if (code === status.UNAVAILABLE) return !ELSEWHERE.has(reason);
  return code === status.INTERNAL || reason === 'STEP_TIMEOUT';
}

const ELSEWHERE: ReadonlySet<string> = new Set([
  'NODE_STOPPING',
  'NODE_DRAINING',
  'OWNER_LOST',
  'STALE_OWNER',
  'NO_MEMBER',
]);

/** Calls typed services of other nodes through the directory. */
export class DirectoryPeers implements Peers {
  readonly #directory: Directory;
  readonly #channels: ChannelPool;
  /** By the type that is called. */
  readonly #retries = new Map<string, Retries>();

  constructor(directory: Directory, channels: ChannelPool) {
    this.#directory = directory;
    this.#channels = channels;
  }

  async call<C extends { close(): void }, T>(
    target: string | ThisMember,
    client: ClientClass<C>,
    call: (client: C, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    if (typeof target !== 'string') {
      const { member: id } = target;
      const found = this.#directory.members().find((member) => member.id === id);
      if (!found) throw unavailable('OWNER_LOST', `${id} is not registered`);
      return call(this.#channels.client(client, found.address), signal);
    }
    const retries = this.#retriesOf(target);
    retries.begin();
    for (let attempt = 1; ; attempt++) {
      try {
        const member = this.#directory.pick(target);
        try {
          const answer = await call(this.#channels.client(client, member.address), signal);
          this.#directory.observe(member, { kind: 'answered' });
          return answer;
        } catch (thrown) {
          const error = toFractoryError(thrown);
          if (error.code === status.UNAVAILABLE) this.#directory.suspect(member);
          else this.#directory.observe(member, { kind: isToBlame(error) ? 'failed' : 'answered' });
          throw error;
        }
      } catch (thrown) {
        const error = toFractoryError(thrown);
        if (!isWorthRetrying(error) || signal.aborted) throw error;
        await retries.pause(backoffMs(attempt), signal);
      }
    }
  }

  #retriesOf(type: string): Retries {
    let retries = this.#retries.get(type);
    if (!retries) {
      retries = new Retries({ onNews: (listener) => this.#directory.subscribe(listener) });
      this.#retries.set(type, retries);
    }
    return retries;
  }
}
