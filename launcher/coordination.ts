import type { CoordinatorConfig } from '../config/node-config.js';

/** The coordinator of a data center as its launcher sees it: started here, or somewhere else. */
export interface Coordination {
  readonly kind: CoordinatorConfig['kind'];
  /** Why it is this one, if people should know. */
  readonly notice: string | undefined;
  /** Decides where it will be, so that nodes can start beside it. `secret` is the data center's. */
  prepare(secret: string): Promise<CoordinatorConfig>;
  /** Resolves when clients can connect. After `prepare`. */
  start(signal: AbortSignal): Promise<void>;
  /** Processes that it consists of now. */
  processes(): readonly { readonly name: string; readonly pid: number }[];
  /** Its servers, where some of its own can be restarted one by one. */
  readonly servers?: CoordinationServers;
  /** From now on `listener` hears when `processes` has changed. */
  onChange(listener: () => void): void;
  /** Idempotent; also before `start`. */
  stop(): Promise<void>;
  /** Ends it at once, without waiting. */
  kill(): void;
}

/** Servers of an ensemble that the launcher holds, by name: `zookeeper-1`. */
export interface CoordinationServers {
  readonly names: readonly string[];
  /** All of them, those first whose restart costs no election. */
  restartOrder(): Promise<readonly string[]>;
  /** Stops one and starts it again; resolves with its pid when it has begun. QUORUM_AT_RISK where the others are not enough: then nothing was stopped. */
  restart(name: string): Promise<number>;
  /** Resolves when it serves, in the quorum. */
  serves(name: string, signal: AbortSignal): Promise<void>;
}
