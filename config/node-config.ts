import type { ClientCredentials } from '../runtime/arguments.js';
import type { Limits } from './limits.js';

/** Where the coordinator is. */
export interface CoordinatorConfig {
  readonly kind: 'zookeeper' | 'embedded';
  /** `host:port,host:port,...` of ZooKeeper's servers, or `host:port` of the embedded coordinator. */
  readonly connect: string;
  readonly sessionTimeoutMs: number;
}

/** Who may call. `open` is allowed on loopback addresses only. Clients show what nodes ask for. */
export type SecurityConfig = ClientCredentials;

/** How a node gossips with the others of its data center. */
export interface GossipConfig {
  /** `ADDRESS:PORT` of members beside those that the coordinator lists. */
  readonly join: readonly string[];
  readonly profile: 'fast' | 'lan' | 'wan' | 'local';
  /** UDP and TCP; 0 = any free one. Where another node has it, any free one too. */
  readonly port: number;
  /** Base64, the first one encrypts; where `keyring` is there, that goes before. Empty until the launcher's file was read. */
  readonly keys: readonly string[];
  /** File of the keys as they were changed since (`serf keys`). Absolute; absent = changes are forgotten with the node. */
  readonly keyring?: string;
  /** Why there are no keys, and what to do. */
  readonly problem?: string;
}

/** Everything one node process needs to know; `S` = the device's own settings. */
export interface NodeConfig<S = unknown> {
  /** Folder of the installed product. Absolute. */
  readonly root: string;
  /** `.fractory`: absolute, exists. */
  readonly statePath: string;
  readonly dataCenter: {
    readonly name: string;
    /** Address that servers bind to and that members publish. */
    readonly grpcIp: string;
    /** Absolute. */
    readonly storagePath: string;
  };
  readonly coordinator: CoordinatorConfig;
  readonly security: SecurityConfig;
  /** Known to the nodes of this data center only: authenticates links between controllers and owns the znodes. */
  readonly secret: string;
  readonly limits: Limits;
  /** Absent = it doesn't gossip. */
  readonly gossip?: GossipConfig | undefined;
  readonly telemetry: {
    /** Base URL of the collector that takes traces as OTLP over HTTP; absent = no traces. */
    readonly otlpEndpoint?: string | undefined;
  };
  readonly node: {
    /** Member id, such as `storage-1`. */
    readonly name: string;
    readonly type: string;
    readonly routing: 'leader' | 'any';
    readonly verbose: boolean;
    /** 0 = any free port. */
    readonly port: number;
    /** Where `port` is 0: the one to take if it is free, such as that of the node's life before. Default 0: none. */
    readonly preferredPort?: number;
  };
  /** A launcher holds our standard input open; when it ends, the launcher is gone and the node stops. */
  readonly supervised: boolean;
  readonly settings: S;
}
