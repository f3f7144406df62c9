import type { Logger } from '../../runtime/logger.js';
import type { ObjectTable } from './capabilities/objects.js';
import type { Kernel } from './kernel.js';

export interface NodeLifeParts {
  readonly objects: Pick<ObjectTable, 'epoch' | 'begin'>;
  readonly kernel: Pick<Kernel, 'reset'>;
  readonly log: Logger;
}

/** The lives of a node, one for each epoch, and when it leads in them. A new life is without anything that the one before had made. */
export class NodeLife {
  readonly #parts: NodeLifeParts;
  readonly #epochListeners = new Set<() => void>();
  readonly #leadsListeners = new Set<() => void>();
  #led = false;

  constructor(parts: NodeLifeParts) {
    this.#parts = parts;
  }

  /** See `KernelAccess.onEpoch`. */
  onEpoch(listener: () => void): () => void {
    this.#epochListeners.add(listener);
    return () => this.#epochListeners.delete(listener);
  }

  /** See `KernelAccess.onLeads`. */
  onLeads(listener: () => void): () => void {
    this.#leadsListeners.add(listener);
    return () => this.#leadsListeners.delete(listener);
  }

  /**
   * Takes what the registration says now; `epoch` is 0 without one. Whoever leaves in good order finishes what it has begun: its life ends with its process.
   */
  follow(epoch: bigint, leads: boolean, isLeaving: boolean): void {
    const { objects, kernel, log } = this.#parts;
    const isNewLife = epoch !== objects.epoch && !isLeaving;
    if (isNewLife) {
      log.info({ epoch: String(epoch) }, epoch === 0n ? 'registration ended' : 'registered');
      kernel.reset();
      objects.begin(epoch);
      for (const listener of [...this.#epochListeners]) listener();
    }
    const begins = leads && (isNewLife || !this.#led);
    this.#led = leads;
    if (begins) for (const listener of [...this.#leadsListeners]) listener();
  }
}
