import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { credentials, InterceptingCall, Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import type { ChannelCredentials, Interceptor } from '@grpc/grpc-js';

import type { SecurityConfig } from '../../config/node-config.js';
import { FractoryError } from '../../runtime/errors.js';

/** Metadata key by which one controller shows another that it belongs to the data center. */
const LINK_KEY = 'fractory-link';

/** Who may call this node, and how it shows others who it is. */
export class Security {
  readonly #config: SecurityConfig;
  readonly #linkKey: string;

  /** `secret` is known to the nodes of the data center only; what travels is derived from it. */
  constructor(config: SecurityConfig, secret: string) {
    this.#config = config;
    this.#linkKey = createHmac('sha256', secret).update('link').digest('hex');
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
    if (this.#config.mode !== 'token' || this.#isController(metadata)) return;
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

  /** Throws unless the caller is a controller of this data center. */
  checkController(metadata: Metadata): void {
    if (!this.#isController(metadata))
      throw new FractoryError(
        status.UNAUTHENTICATED,
        'NOT_A_CONTROLLER',
        'links are for controllers of this data center; others use Connect and Invoke',
      );
  }

  #isController(metadata: Metadata): boolean {
    const [key] = metadata.get(LINK_KEY);
    return key !== undefined && sameText(String(key), this.#linkKey);
  }
}

/** Compares without telling by time where two texts differ. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
