import { Registry } from 'prom-client';

import { followGossip } from '../../../../controllers/kernel/gossip/metrics.js';
import { assert, suite } from '../../../suite.js';

suite('figures of gossip', (test) => {
  test('each count of a member list is shown, as it is when it is asked for', async () => {
    const registry = new Registry();
    const counts = {
      ...{ packetsIn: 1, packetsOut: 2, bytesIn: 3, bytesOut: 4, exchanges: 5, refuted: 6 },
      dropped: new Map([['stale', 7]]),
    };
    const members = { alive: 8, suspect: 0, dead: 0, left: 0 };
    followGossip(registry, () => ({ members, counts, awareness: 9 }));
    await registry.metrics();
    counts.refuted++;
    const shown = (await registry.metrics()).split('\n').filter((line) => /^\w.* [1-9]/.test(line));
    assert.equal(shown, [
      'fractory_gossip_members{state="alive"} 8',
      'fractory_gossip_awareness 9',
      'fractory_gossip_packets_total{direction="in"} 1',
      'fractory_gossip_packets_total{direction="out"} 2',
      'fractory_gossip_bytes_total{direction="in"} 3',
      'fractory_gossip_bytes_total{direction="out"} 4',
      'fractory_gossip_exchanges_total 5',
      'fractory_gossip_refuted_total 7',
      'fractory_gossip_dropped_total{problem="stale"} 7',
    ]);
  });
});
