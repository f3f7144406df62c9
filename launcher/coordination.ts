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
  /** Idempotent; also before `start`. */
  stop(): Promise<void>;
  /** Ends it at once, without waiting. */
  kill(): void;
}
