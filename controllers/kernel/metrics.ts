import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; buckets as OpenTelemetry's conventions have them for RPCs. */
const SECONDS = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What one node measures; text for Prometheus comes from `registry`. */
export class KernelMetrics {
  readonly registry = new Registry();
  readonly admitted: Counter<'operation'>;
  readonly failed: Counter<'operation' | 'reason'>;
  readonly refused: Counter<'reason'>;
  readonly compute: Histogram<'operation'>;
  readonly calls: Histogram<'method' | 'code'>;
  readonly leads: Gauge;

  readonly #admittedOf = new Map<string, Counter.Internal>();
  readonly #computeOf = new Map<string, Histogram.Internal<'operation'>>();

  constructor(labels: { data_center: string; member: string; type: string }) {
    this.registry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: this.registry, prefix: 'fractory_' });
    const registers = [this.registry];
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
