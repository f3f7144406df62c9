import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

import type { Standing } from './outliers.js';

const ALL: readonly Standing[] = ['trusted', 'ejected', 'probed'];

/** What a node's metrics tell of where other members stand with it. */
export class Standings {
  readonly #standing: Gauge<'peer' | 'standing'>;
  readonly #ejections: Counter<'peer'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#standing = new Gauge({
      name: 'fractory_peer_standing',
      help: '1 where a member stands with this one: trusted, ejected (passed over) or probed; only of members that were ejected once',
      labelNames: ['peer', 'standing'],
      registers,
    });
    this.#ejections = new Counter({
      name: 'fractory_peer_ejections_total',
      help: 'Times that a member was passed over because it did worse than the others of its type',
      labelNames: ['peer'],
      registers,
    });
  }

  set(peer: string, standing: Standing): void {
    for (const one of ALL) this.#standing.set({ peer, standing: one }, one === standing ? 1 : 0);
    if (standing === 'ejected') this.#ejections.inc({ peer });
  }
}
