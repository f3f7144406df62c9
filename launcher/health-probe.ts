import type { SecurityConfig } from '../config/node-config.js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthClient,
} from '../protos/gen/grpc/health/v1/health.js';
import { ChannelPool } from '../runtime/channels.js';
import { channelCredentialsOf, metadataOf } from './client-credentials.js';

/** How a member is, as its health service says; UNREACHABLE where it doesn't answer in time. Of one that isn't registered its launcher says it. */
export type MemberState =
  | 'SERVING'
  | 'NOT_SERVING'
  | 'UNREACHABLE'
  | 'STARTING'
  | 'FROZEN'
  | 'DRAINING'
  | 'DRAINED'
  | 'DEAD';

/** Addresses that could not be reached, and their channels, kept at most; a member that starts again may have another address each time. */
const MAX_UNREACHABLE = 1024;

/** Asks nodes how they are. */
export class HealthProbe {
  readonly #channels: ChannelPool;
  readonly #security: SecurityConfig;
  readonly #maxUnreachable: number;
  /** By address, of those that could not be reached when they were asked last; who was asked latest is last. */
  readonly #complaints = new Map<string, string>();

  constructor(security: SecurityConfig, maxUnreachable = MAX_UNREACHABLE) {
    this.#security = security;
    this.#maxUnreachable = maxUnreachable;
    this.#channels = new ChannelPool({ credentials: channelCredentialsOf(security) });
  }

  check(address: string, timeoutMs: number): Promise<MemberState> {
    const client = this.#channels.client(HealthClient, address);
    return new Promise((resolve) => {
      client.check(
        { service: '' },
        metadataOf(this.#security),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          this.#complaints.delete(address);
          if (error) {
            this.#complaints.set(address, error.details);
            this.#forgetOldest();
            resolve('UNREACHABLE');
          } else if (response.status === ServingStatus.SERVING) resolve('SERVING');
          else resolve('NOT_SERVING');
        },
      );
    });
  }

  /** Why a member could not be reached when it was asked last; undefined if it was. */
  complaintOf(address: string): string | undefined {
    return this.#complaints.get(address);
  }

  /** Whoever is asked again has a new channel. */
  #forgetOldest(): void {
    for (const address of this.#complaints.keys()) {
      if (this.#complaints.size <= this.#maxUnreachable) return;
      this.#complaints.delete(address);
      this.#channels.eject(address);
    }
  }

  close(): void {
    this.#channels.close();
  }
}
