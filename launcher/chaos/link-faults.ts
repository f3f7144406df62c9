import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import type { RunningDataCenter } from '../running-data-center.js';
import { PrivateLinkFaults } from './private-link-faults.js';

/** Parties that `partition` can name beside members and servers. */
export const GROUPS = ['nodes', 'zookeeper', 'clients'] as const;

/**
 * What a cut separates from: everything that is not itself cut off (default), or some of it: `nodes` (those that the launcher started), `zookeeper` (its servers,
 * or the embedded coordinator), `clients` (the launcher and every command, nodes started by hand), or single members and servers (`storage-2`, `zookeeper-1`).
 */
export type Party = (typeof GROUPS)[number] | (string & {});

/** No packet passes between `members` and `from`; members of one cut still reach each other. */
export interface Cut {
  readonly kind: 'cut';
  /** Two cuts of the same parties have the same. */
  readonly id: string;
  readonly members: readonly string[];
  /** Absent: from all others. */
  readonly from?: readonly Party[] | undefined;
  /** Only what `members` send is dropped; what is sent to them arrives. */
  readonly oneWay: boolean;
}

/** How a member's link is made worse; at least one of them. */
export interface Slowness {
  /** Each way. */
  readonly bitsPerSecond?: number | undefined;
  /** Added to what it sends, so to each round trip once. */
  readonly delayMs?: number | undefined;
  /** Share of the packets that are dropped, each way: above 0, up to 1. */
  readonly loss?: number | undefined;
}

/** A member's link with less than it had. One for each member: a second one takes the place of the first. */
export interface Slow extends Slowness {
  readonly kind: 'slow';
  readonly id: string;
  readonly member: string;
}

export type LinkFault = Cut | Slow;

/** What the links of a data center can be made to do; each `undefined`, or why it can't be. */
export interface LinkAbilities {
  /** Cuts and loss (nftables). */
  readonly cut: string | undefined;
  /** Rates (tbf). */
  readonly rate: string | undefined;
  /** Delays (netem). */
  readonly delay: string | undefined;
}

/**
 * Faults on the links of a data center that was started with `up --namespaces`. They stand in the state folder, so that another process can heal them, and end with the
 * data center. Several processes may change them at the same time.
 */
export interface LinkFaults {
  /** Names that have a link of their own: nodes, and ZooKeeper's servers (`zookeeper-1`, ...). */
  readonly names: readonly string[];
  abilities(): Promise<LinkAbilities>;
  /** Resolves when it is in force. INVALID_ARGUMENT for an unknown name, FAILED_PRECONDITION where it can't be done. */
  partition(cut: {
    readonly members: readonly string[];
    readonly from?: readonly Party[] | undefined;
    readonly oneWay?: boolean | undefined;
  }): Promise<Cut>;
  /** Resolves when it is in force. Errors as `partition`. */
  slow(member: string, how: Slowness): Promise<Slow>;
  /** Ends the faults that name one of `members` (default: all), or one of these ids. Returns those that are over. Idempotent. */
  heal(members?: readonly string[]): Promise<readonly LinkFault[]>;
  list(): Promise<readonly LinkFault[]>;
}

/** FAILED_PRECONDITION reason NO_NAMESPACES, with a line for people, where the data center has no links of its own. */
export function linkFaultsOf({ record, config }: RunningDataCenter): Promise<LinkFaults> {
  if (!record?.network) return Promise.reject(noNamespaces());
  const { statePath } = config.places;
  return Promise.resolve(new PrivateLinkFaults(statePath, record, record.network));
}

function noNamespaces(): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NO_NAMESPACES',
    'links can be cut and slowed only where nodes have links of their own; start the data center with ./datacenter up --namespaces',
  );
}
