import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

import type { MemberState } from '../../../gossip/core/member.js';
import type { Memberlist } from '../../../gossip/memberlist.js';

/** What is measured of gossip, read when the figures are asked for. */
export interface GossipFigures {
  /** This node too. */
  readonly members: Readonly<Record<MemberState, number>>;
  readonly counts: Memberlist['counts'];
  readonly awareness: number;
}

/** Shows on a node's metrics what gossip does. Once for each registry. */
export function followGossip(registry: Registry, figures: () => GossipFigures): void {
  const registers = [registry];
  new Gauge({
    name: 'fractory_gossip_members',
    help: 'Processes that gossip knows of, this one too, by state: alive, suspect, dead, left',
    ...{ labelNames: ['state'], registers },
    collect() {
      for (const [state, count] of Object.entries(figures().members)) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'fractory_gossip_awareness',
    help: 'How much this node doubts itself: 0 = not at all, up to 7, with its probes as many times slower',
    registers,
    collect() {
      this.set(figures().awareness);
    },
  });
  counter(
    'packets',
    'UDP packets of gossip, by direction (in, out)',
    ['direction'],
    ({ counts }) => [
      [{ direction: 'in' }, counts.packetsIn],
      [{ direction: 'out' }, counts.packetsOut],
    ],
  );
  counter('bytes', 'Bytes in them, without headers of IP and UDP', ['direction'], ({ counts }) => [
    [{ direction: 'in' }, counts.bytesIn],
    [{ direction: 'out' }, counts.bytesOut],
  ]);
  counter('exchanges', 'Exchanges of all that is known, over TCP', [], ({ counts }) => [
    [{}, counts.exchanges],
  ]);
  counter('refuted', 'How often this node had to contradict what was said of it', [], (now) => [
    [{}, now.counts.refuted],
  ]);
  counter('dropped', 'What was not understood or not let in, by problem', ['problem'], (now) =>
    [...now.counts.dropped].map(([problem, count]) => [{ problem }, count] as const),
  );

  function counter<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (now: GossipFigures) => readonly (readonly [Partial<Record<L, string>>, number])[],
  ): void {
    new Counter({
      name: `fractory_gossip_${name}_total`,
      ...{ help, labelNames, registers },
      collect() {
        this.reset();
        for (const [labels, count] of read(figures())) this.inc(labels, count);
      },
    });
  }
}
