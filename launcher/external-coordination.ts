import type { CoordinatorConfig } from '../config/node-config.js';
import type { Coordination } from './coordination.js';

/** A coordinator that runs already and goes on without us. */
export class ExternalCoordination implements Coordination {
  readonly kind: CoordinatorConfig['kind'];
  readonly notice: string;
  readonly #config: CoordinatorConfig;

  constructor(config: CoordinatorConfig) {
    this.kind = config.kind;
    this.notice = `using ${config.kind} at ${config.connect}`;
    this.#config = config;
  }

  prepare(): Promise<CoordinatorConfig> {
    return Promise.resolve(this.#config);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  onChange(): void {
    // It has no processes that come and go.
  }

  processes(): [] {
    return [];
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  kill(): void {
    // It isn't ours.
  }
}
