import type { MemberStatus } from '../../launcher/member-status.js';
import type { Test } from '../suite.js';
import type { ForeignClient } from './foreign-client.js';

/** The data center that the claims of a file share. */
export interface Wire {
  /** As `status` has them. */
  members(): Promise<readonly MemberStatus[]>;
  /** The leader of a type. */
  member(type: string): Promise<MemberStatus>;
  /** A foreign client of the leader of a type. */
  at(type: string): Promise<ForeignClient>;
  /** A foreign client of the storage member that doesn't lead. */
  follower(): Promise<ForeignClient>;
  statePath(): Promise<string>;
}

/** Declares tests about one service. */
export type Claims = (test: Test, wire: Wire) => void;

/** Bytes as the JSON of protobuf has them. */
export function base64(data: Uint8Array | string): string {
  return Buffer.from(data).toString('base64');
}
