import { status } from '@grpc/grpc-js';

import { toFractoryError } from '../../protos/status.js';
import { backoffMs } from '../../runtime/backoff.js';
import type { ChannelPool } from '../../runtime/channels.js';
import { sleep } from '../../runtime/deadline.js';
import { unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { ClientClass, Peers, ThisMember } from './device.js';
import type { Directory } from './directory.js';

/** Whether another member, or the same a little later, may answer what this one could not. */
export function isWorthRetrying(error: FractoryError): boolean {
  return (
    error.code === status.UNAVAILABLE ||
    error.reason === 'NOT_LEADER' ||
    error.reason === 'STALE_OWNER'
  );
}

/** Calls typed services of other nodes through the directory. */
export class DirectoryPeers implements Peers {
  readonly #directory: Directory;
  readonly #channels: ChannelPool;

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
    for (let attempt = 1; ; attempt++) {
      try {
        const member = this.#directory.pick(target);
        try {
          return await call(this.#channels.client(client, member.address), signal);
        } catch (thrown) {
          const error = toFractoryError(thrown);
          if (error.code === status.UNAVAILABLE) this.#directory.suspect(member);
          throw error;
        }
      } catch (thrown) {
        const error = toFractoryError(thrown);
        if (!isWorthRetrying(error) || signal.aborted) throw error;
        await sleep(backoffMs(attempt), signal);
      }
    }
  }
}
