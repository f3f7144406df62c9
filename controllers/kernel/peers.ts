import { status } from '@grpc/grpc-js';

import { toFractoryError } from '../../protos/status.js';
import { backoffMs } from '../../runtime/backoff.js';
import type { ChannelPool } from '../../runtime/channels.js';
import { sleep } from '../../runtime/deadline.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { ClientClass, Peers } from './device.js';
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
    type: string,
    client: ClientClass<C>,
    call: (client: C, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const member = this.#directory.pick(type);
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
