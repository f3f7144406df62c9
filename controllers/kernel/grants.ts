import { Metadata, status } from '@grpc/grpc-js';

import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import type { ConnectResponse } from '../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../protos/status.js';
import type { ChannelPool } from '../../runtime/channels.js';
import { withDeadline } from '../../runtime/deadline.js';
import { unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { RootGrant } from './device.js';
import type { Directory } from './directory.js';

const CONNECT_TIMEOUT_MS = 5000;

/** Root capabilities of other members: one `Connect` per member and epoch, not per run. */
export class Grants {
  readonly #channels: ChannelPool;
  readonly #known = new Map<string, Promise<ReadonlyMap<string, RootGrant>>>();
  readonly #unsubscribe: () => void;

  constructor(directory: Directory, channels: ChannelPool) {
    this.#channels = channels;
    this.#unsubscribe = directory.subscribe(() => {
      const present = new Set(directory.members().map(keyOf));
      for (const key of [...this.#known.keys()]) if (!present.has(key)) this.#known.delete(key);
    });
  }

  of(member: Member, signal: AbortSignal): Promise<ReadonlyMap<string, RootGrant>> {
    return withDeadline(
      2 * CONNECT_TIMEOUT_MS,
      `connecting to ${member.id}`,
      () => this.#shared(member),
      signal,
    );
  }

  close(): void {
    this.#unsubscribe();
    this.#known.clear();
  }

  /** One call for all who want it: no single caller may cancel it. */
  #shared(member: Member): Promise<ReadonlyMap<string, RootGrant>> {
    const key = keyOf(member);
    const known = this.#known.get(key);
    if (known) return known;
    const fresh = this.#connect(member);
    this.#known.set(key, fresh);
    fresh.catch(() => {
      if (this.#known.get(key) === fresh) this.#known.delete(key);
    });
    return fresh;
  }

  async #connect(member: Member): Promise<ReadonlyMap<string, RootGrant>> {
    const response = await this.#call(member.address);
    if (response.member === member.id && response.epoch === 0n)
      throw unavailable(
        'STALE_OWNER',
        `${member.address} is ${member.id} once more, and has not registered again yet`,
      );
    if (response.member !== member.id || response.epoch !== member.epoch)
      throw unavailable(
        'STALE_OWNER',
        `${member.address} is ${response.member} in epoch ${String(response.epoch)}, ` +
          `not ${member.id} in epoch ${String(member.epoch)}`,
      );
    const grants = new Map<string, RootGrant>();
    for (const { operation, capability } of response.grants)
      if (operation && capability) grants.set(operation.name, { operation, capability });
    return grants;
  }

  #call(address: string): Promise<ConnectResponse> {
    const client = this.#channels.client(ControllerServiceClient, address);
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + CONNECT_TIMEOUT_MS;
      client.connect({}, new Metadata(), { deadline }, (error, response) => {
        if (error) reject(silent(address, toFractoryError(error)));
        else resolve(response);
      });
    });
  }
}

/** Whoever doesn't answer in time is as good as gone: another member may answer. */
function silent(address: string, error: FractoryError): FractoryError {
  if (error.code !== status.DEADLINE_EXCEEDED) return error;
  const text = `${address} did not answer within ${String(CONNECT_TIMEOUT_MS)} ms`;
  return unavailable('OWNER_LOST', text, { cause: error });
}

const keyOf = (member: Member): string => `${member.id}@${String(member.epoch)}`;
