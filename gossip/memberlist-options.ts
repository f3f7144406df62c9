import type { Clock } from '../runtime/clock.js';
import { invalidArgument } from '../runtime/errors.js';
import type { Logger } from '../runtime/logger.js';
import type { Delegate } from './core/gossip-member.js';
import type { MemberChange } from './core/membership.js';
import type { Profile } from './core/profile.js';
import { addressBytes, addressText, parseEndpoint } from './net/address.js';
import type { Keyring } from './wire/keyring.js';
import { MAX_LABEL_BYTES } from './wire/label.js';
import { MAX_META_BYTES, MAX_OWN_NAME_BYTES } from './wire/limits.js';
import type { WireOptions } from './wire/packet.js';

/** Where memberlist listens by custom. */
export const DEFAULT_PORT = 7946;

export interface MemberlistOptions {
  /** Unique in the cluster; at most 255 bytes. */
  readonly name: string;
  /** IP address to listen on. Default 127.0.0.1. */
  readonly bind?: string;
  /** Default 7946; 0 = any. */
  readonly port?: number;
  /** Address that others reach it at, if it is not the one that it listens on; needed where that is any (0.0.0.0, ::). */
  readonly advertise?: string;
  /** What all others see of it; at most 512 bytes. */
  readonly meta?: Uint8Array;
  /** Default `lan`. */
  readonly profile?: Profile;
  /** Keys of the cluster; without one nothing is encrypted and anybody can say anything. */
  readonly keyring?: Keyring;
  /** With keys: whether what comes in plain is dropped. Default true; false while keys are being introduced. */
  readonly verifyIncoming?: boolean;
  /** Keeps clusters on one network apart; no secret. At most 255 bytes. */
  readonly label?: string;
  /** Default true. */
  readonly compress?: boolean;
  /** Versions of the delegate's protocol that are understood at least and at most, and the one that is spoken. Default 0, 0, 0; those of Serf are 2, 5, 5. */
  readonly delegateVersions?: readonly [least: number, most: number, spoken: number];
  /** Members that are known at most, gone ones too; more are dropped and counted. Default 100,000, which is about 100 MB. */
  readonly maxMembers?: number;
  readonly delegate?: Delegate;
  readonly onChange?: (change: MemberChange) => void;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** What its packets and streams need of it. */
export function wireOf(options: MemberlistOptions): WireOptions {
  return {
    label: Buffer.from(options.label ?? ''),
    keyring: options.keyring,
    verifyIncoming: options.verifyIncoming ?? true,
    compress: options.compress ?? true,
  };
}

/** Throws INVALID_ARGUMENT. */
export function checkMeta(meta: Uint8Array): void {
  if (meta.length > MAX_META_BYTES)
    throw invalidArgument(
      'meta',
      `has ${String(meta.length)} bytes, at most ${String(MAX_META_BYTES)}`,
    );
}

/** Throws INVALID_ARGUMENT for what no member can have. */
export function checkOptions(options: MemberlistOptions): void {
  const { name, meta, label = '' } = options;
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_OWN_NAME_BYTES)
    throw invalidArgument(
      'name',
      `has ${String(bytes)} bytes, expected 1 to ${String(MAX_OWN_NAME_BYTES)}`,
    );
  if (meta) checkMeta(meta);
  if (Buffer.byteLength(label) > MAX_LABEL_BYTES)
    throw invalidArgument('label', `is longer than ${String(MAX_LABEL_BYTES)} bytes`);
  checkAnnounced(options);
}

/** Nobody is reached at "any address". */
function checkAnnounced({ bind = '127.0.0.1', advertise }: MemberlistOptions): void {
  const bound = addressBytes(bind);
  const { address } =
    advertise === undefined ? { address: bound } : parseEndpoint(advertise, DEFAULT_PORT);
  if (address.every((byte) => byte === 0))
    throw invalidArgument(
      'advertise',
      `${addressText(address) ?? ''} is any address, others need one`,
    );
}
