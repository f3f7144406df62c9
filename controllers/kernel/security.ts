import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { credentials, InterceptingCall, Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import type { ChannelCredentials, Interceptor } from '@grpc/grpc-js';

import type { SecurityConfig } from '../../config/node-config.js';
import { FractoryError } from '../../runtime/errors.js';
import { LINK_KEY, linkKeyOf } from '../../runtime/link-key.js';

/** Metadata key under which a controller says which member it is. */
const MEMBER_KEY = 'fractory-member';

/** Certificate and key of this node, and the authority of the data center: PEM. */
export interface Certificates {
  readonly ca: Buffer;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** Who may call this node, and how it shows others who it is. */
export class Security {
  readonly #config: SecurityConfig;
  readonly #linkKey: string;
  readonly #member: string;
  /** What controllers show each other on the bulk data path: 32 bytes. */
  readonly bulkKey: Uint8Array;

  /** `secret` is known to the nodes of the data center only; what travels is derived from it. */
  constructor(config: SecurityConfig, secret: string, member = '') {
    this.#config = config;
    this.#member = member;
    this.#linkKey = linkKeyOf(secret);
    this.bulkKey = createHmac('sha256', secret).update('bulk').digest();
  }

  /** What both sides of a connection between controllers show in mtls mode; undefined in others. */
  certificates(): Certificates | undefined {
    if (this.#config.mode !== 'mtls') return undefined;
    const { caPath, keyPath, certificatePath } = this.#config;
    return {
      ca: readFileSync(caPath),
      key: readFileSync(keyPath),
      cert: readFileSync(certificatePath),
    };
  }

  serverCredentials(): ServerCredentials {
    if (this.#config.mode !== 'mtls') return ServerCredentials.createInsecure();
    const { caPath, keyPath, certificatePath } = this.#config;
    const pair = {
      private_key: readFileSync(keyPath),
      cert_chain: readFileSync(certificatePath),
    };
    return ServerCredentials.createSsl(readFileSync(caPath), [pair], true);
  }

  channelCredentials(): ChannelCredentials {
    if (this.#config.mode !== 'mtls') return credentials.createInsecure();
    const { caPath, keyPath, certificatePath } = this.#config;
    return credentials.createSsl(
      readFileSync(caPath),
      readFileSync(keyPath),
      readFileSync(certificatePath),
    );
  }

  /** What this controller shows on every call to another. */
  metadata(): Metadata {
    const metadata = new Metadata();
    metadata.set(LINK_KEY, this.#linkKey);
    if (this.#member !== '') metadata.set(MEMBER_KEY, this.#member);
    return metadata;
  }

  /** Adds `metadata()` to every call of a channel. */
  interceptor(): Interceptor {
    return (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, listener, next) => {
          metadata.merge(this.metadata());
          next(metadata, listener);
        },
      });
  }

  /** Throws UNAUTHENTICATED unless the caller may use the services of this node. */
  checkCaller(metadata: Metadata): void {
    if (this.#config.mode !== 'token' || this.isController(metadata)) return;
    const [header] = metadata.get('authorization');
    if (header === undefined)
      throw new FractoryError(
        status.UNAUTHENTICATED,
        'TOKEN_MISSING',
        'this data center wants a token: send the metadata "authorization: Bearer TOKEN"',
      );
    if (!sameText(String(header), `Bearer ${this.#config.token}`))
      throw new FractoryError(
        status.UNAUTHENTICATED,
        'TOKEN_WRONG',
        'the token is not the right one',
      );
  }

  /** Throws unless the caller is a controller of this data center, or has its secret. */
  checkController(metadata: Metadata, what = 'links are'): void {
    if (!this.isController(metadata))
      throw new FractoryError(
        status.UNAUTHENTICATED,
        'NOT_A_CONTROLLER',
        `${what} for controllers of this data center; others use Connect and Invoke`,
      );
  }

  /** Whom what a caller takes is counted to: a controller by its member id, others by their address without the port. */
  clientOf(metadata: Metadata, peer: string): string {
    const [member] = this.isController(metadata) ? metadata.get(MEMBER_KEY) : [];
    return member === undefined ? peer.replace(/:\d+$/, '') : String(member);
  }

  /** Whether the caller has shown the key of the controllers of this data center. */
  isController(metadata: Metadata): boolean {
    const [key] = metadata.get(LINK_KEY);
    return key !== undefined && sameText(String(key), this.#linkKey);
  }
}

/** Compares without telling by time where two texts differ. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
