import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

import type { Standing } from './outliers.js';

/** By what was seen of it in ordinary work, or `dead` by gossip, which goes before. */
export type ToldStanding = Standing | 'dead';

const ALL: readonly ToldStanding[] = ['trusted', 'ejected', 'probed', 'dead'];

/** What a node's metrics tell of where other members stand with it. */
export class Standings {
  readonly #standing: Gauge<'peer' | 'standing'>;
  readonly #ejections: Counter<'peer'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#standing = new Gauge({
      name: 'fractory_peer_standing',
      help: '1 where a member stands with this one: trusted, ejected (passed over), probed, or dead by gossip (passed over too); only of members that were passed over once',
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

  set(peer: string, standing: ToldStanding): void {
    for (const one of ALL) this.#standing.set({ peer, standing: one }, one === standing ? 1 : 0);
    if (standing === 'ejected') this.#ejections.inc({ peer });
  }
}
