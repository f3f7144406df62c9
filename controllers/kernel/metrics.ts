import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import { Standings } from './standings.js';
import type { ToldStanding } from './standings.js';
import { WireTotals } from './wire-counts.js';

/** Seconds; buckets as OpenTelemetry's conventions have them for RPCs. */
const SECONDS = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const WIRE_HELP = {
  bytes: 'Bytes',
  messages: 'Messages of links and frames of transfers',
} as const;

/** What one node measures; text for Prometheus comes from `registry`. */
export class KernelMetrics {
  readonly registry = new Registry();
  readonly admitted: Counter<'operation'>;
  readonly failed: Counter<'operation' | 'reason'>;
  readonly refused: Counter<'reason'>;
  readonly compute: Histogram<'operation'>;
  readonly calls: Histogram<'method' | 'code'>;
  readonly leads: Gauge;
  readonly memories: Gauge;
  readonly memoryBytes: Gauge;
  readonly #standings: Standings;
  /** What goes over the wire to and from other controllers. */
  readonly wire = new WireTotals();

  readonly #admittedOf = new Map<string, Counter.Internal>();
  readonly #computeOf = new Map<string, Histogram.Internal<'operation'>>();

  constructor(labels: { data_center: string; member: string; type: string }) {
    this.registry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: this.registry, prefix: 'fractory_' });
    const registers = [this.registry];
    this.#standings = new Standings(this.registry);
    this.admitted = new Counter({
      name: 'fractory_invocations_admitted_total',
      help: 'Invocations admitted, by operation',
      labelNames: ['operation'],
      registers,
    });
    this.failed = new Counter({
      name: 'fractory_invocations_failed_total',
      help: 'Admitted invocations whose operation failed, by operation and reason',
      labelNames: ['operation', 'reason'],
      registers,
    });
    this.refused = new Counter({
      name: 'fractory_continuations_refused_total',
      help: 'Continuations that the next node did not admit, by reason',
      labelNames: ['reason'],
      registers,
    });
    this.compute = new Histogram({
      name: 'fractory_operation_compute_seconds',
      help: 'Time an operation itself took',
      labelNames: ['operation'],
      buckets: SECONDS,
      registers,
    });
    this.calls = new Histogram({
      name: 'fractory_rpc_server_call_duration_seconds',
      help: 'Time a call of a typed service took, by method and status',
      labelNames: ['method', 'code'],
      buckets: SECONDS,
      registers,
    });
    this.leads = new Gauge({
      name: 'fractory_leads',
      help: '1 while this member leads its cluster',
      registers,
    });
    this.memories = new Gauge({
      name: 'fractory_memories',
      help: 'Memories that this node keeps',
      registers,
    });
    this.memoryBytes = new Gauge({
      name: 'fractory_memory_bytes',
      help: "Bytes of this node's own memory that they take",
      registers,
    });
    const labelNames = ['peer', 'direction', 'path'] as const;
    const { wire } = this;
    for (const what of ['bytes', 'messages'] as const)
      new Counter({
        name: `fractory_wire_${what}_total`,
        help: `${WIRE_HELP[what]} exchanged with other controllers, by peer, direction (sent, received) and path (link, bulk)`,
        ...{ labelNames, registers },
        collect() {
          this.reset();
          for (const { peer, direction, path, [what]: total } of wire.all())
            this.inc({ peer, direction, path }, total);
        },
      });
  }

  /** A member is passed over, probed or taken back. */
  stands(peer: string, standing: ToldStanding): void {
    this.#standings.set(peer, standing);
  }

  /** Shows what the kernel holds, asked for whenever the figures are read; once. */
  follow(counts: () => Readonly<Record<string, number>>): void {
    new Gauge({
      name: 'fractory_held',
      help: 'What the kernel holds for runs: operations running, gates, maps, and all activities that a release would find',
      labelNames: ['what'],
      registers: [this.registry],
      collect() {
        for (const [what, count] of Object.entries(counts())) this.set({ what }, count);
      },
    });
  }

  /** The counter of one operation; looked up once. */
  admittedOf(operation: string): Counter.Internal {
    let counter = this.#admittedOf.get(operation);
    if (!counter) {
      counter = this.admitted.labels({ operation });
      this.#admittedOf.set(operation, counter);
    }
    return counter;
  }

  /** The histogram of one operation; looked up once. */
  computeOf(operation: string): Histogram.Internal<'operation'> {
    let histogram = this.#computeOf.get(operation);
    if (!histogram) {
      histogram = this.compute.labels({ operation });
      this.#computeOf.set(operation, histogram);
    }
    return histogram;
  }
}
