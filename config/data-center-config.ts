import type { Limits } from './limits.js';
import type { Places } from './paths.js';
import type { GossipConfig, SecurityConfig } from './node-config.js';
import type { EffectiveValue } from './values.js';

/** One section of a controller: the nodes of one device type. */
export interface ControllerConfig {
  /** Name of its section. */
  readonly section: string;
  /** Device type: name of the folder of its `main.ts`. */
  readonly type: string;
  /** False: described in the file, but not in `controller_names`, so `up` doesn't start it. */
  readonly listed: boolean;
  /** `main.js` of each node, absolute; empty = none is started. */
  readonly nodes: readonly PlannedNode[];
  /** `main.js` of the first path: what `node TYPE` starts. */
  readonly main: string;
  readonly routing: 'leader' | 'any';
  readonly verbose: boolean;
  readonly zookeeper: boolean;
  /** The device's own keys, as its `settings.ts` reads them. */
  readonly settings: unknown;
  /** Members that these settings can't do without. */
  readonly needs: readonly MemberNeed[];
}

/** Some settings work with a certain member of another device type only. */
export interface MemberNeed {
  readonly type: string;
  readonly member: string;
  /** The setting, as it stands in the file: `backend = block`. */
  readonly setting: string;
}

/** A node that `up` starts. */
export interface PlannedNode {
  /** Member id, such as `storage-1`. */
  readonly name: string;
  readonly main: string;
  /** 0 = any free port. */
  readonly port: number;
}

/** A whole ini file, valid and with defaults. Paths are absolute. */
export interface DataCenterConfig {
  readonly file: string;
  readonly places: Places;
  readonly name: string;
  readonly grpcIp: string;
  readonly storagePath: string;
  readonly zookeeper: ZooKeeperConfig;
  readonly security: SecurityConfig;
  /** Undefined = nodes don't gossip. Without keys they take those of the launcher's file. */
  readonly gossip: GossipConfig | undefined;
  readonly limits: Limits;
  readonly otlpEndpoint: string | undefined;
  readonly controllers: readonly ControllerConfig[];
  /** Every key in force and where it came from. */
  readonly values: readonly EffectiveValue[];
}

export interface ZooKeeperConfig {
  /** False where the ini file chooses the embedded twin. */
  readonly enabled: boolean;
  /** Which line chose the twin, for people. */
  readonly disabledBy: string | undefined;
  readonly servers: number;
  /** `host:port,host:port,...` of an ensemble that runs already. */
  readonly connect: string | undefined;
  readonly tickMs: number;
  readonly sessionTimeoutMs: number;
}
