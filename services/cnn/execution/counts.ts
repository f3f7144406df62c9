import { Counter } from 'prom-client';
import type { Registry } from 'prom-client';

import type { ModelCounts, RunResult } from '../serving.js';

const MICROSECONDS = 1e6;

interface BatchCount {
  runs: number;
  computeUs: number;
}

/** Counts of one version of a model; see `ModelCounts`. */
export class VersionCounts implements ModelCounts {
  requests = 0;
  failures = 0;
  runs = 0;
  queueUs = 0;
  decodeUs = 0;
  computeUs = 0;
  outputUs = 0;
  underWay = 0;
  lastUsedMs = 0;
  readonly batches = new Map<number, BatchCount>();

  arrived(nowMs: number): void {
    this.underWay++;
    this.lastUsedMs = nowMs;
  }

  succeeded({ times }: RunResult): void {
    this.underWay--;
    this.requests++;
    this.queueUs += times.queueUs;
    this.computeUs += times.computeUs;
    this.outputUs += times.outputUs;
  }

  failed(): void {
    this.underWay--;
    this.requests++;
    this.failures++;
  }

  ran(requests: number, computeUs: number): void {
    this.runs++;
    let batch = this.batches.get(requests);
    if (!batch) this.batches.set(requests, (batch = { runs: 0, computeUs: 0 }));
    batch.runs++;
    batch.computeUs += computeUs;
  }

  /** As they are now; those that go on counting stay here. */
  snapshot(): ModelCounts {
    const { requests, failures, runs, queueUs, decodeUs, computeUs, outputUs } = this;
    const batches = new Map([...this.batches].map(([size, batch]) => [size, { ...batch }]));
    const { underWay, lastUsedMs } = this;
    return {
      ...{ requests, failures, runs, queueUs, decodeUs, computeUs, outputUs },
      ...{ underWay, lastUsedMs, batches },
    };
  }
}

/** Counts of all versions since the node started, and what Prometheus sees of them: read when it asks, so that a request pays nothing. */
export class ExecutionCounts {
  readonly #versions = new Map<string, VersionCounts & { name: string; version: number }>();

  constructor(registry?: Registry) {
    if (registry) this.#register(registry);
  }

  of(name: string, version: number): VersionCounts {
    const key = `${name}/${String(version)}`;
    let counts = this.#versions.get(key);
    if (!counts)
      this.#versions.set(key, (counts = Object.assign(new VersionCounts(), { name, version })));
    return counts;
  }

  #register(registry: Registry): void {
    const of = (value: (counts: VersionCounts) => number) => () =>
      [...this.#versions.values()].map((counts) => ({
        labels: { model: counts.name, version: String(counts.version) },
        value: value(counts),
      }));
    const outcomes = () =>
      [...this.#versions.values()].flatMap(({ name: model, version, requests, failures }) => [
        {
          labels: { model, version: String(version), outcome: 'ok' },
          value: requests - failures,
        },
        { labels: { model, version: String(version), outcome: 'failed' }, value: failures },
      ]);
    const batches = () =>
      [...this.#versions.values()].flatMap((counts) =>
        [...counts.batches].map(([size, { runs }]) => ({
          labels: {
            model: counts.name,
            version: String(counts.version),
            requests: String(size),
          },
          value: runs,
        })),
      );
    const version = ['model', 'version'];
    const show = (
      name: string,
      help: string,
      read: () => { labels: Record<string, string>; value: number }[],
      more: readonly string[] = [],
    ): void => {
      new Counter({
        ...{ name: `fractory_cnn_${name}_total`, help, registers: [registry] },
        labelNames: [...version, ...more],
        collect() {
          this.reset();
          for (const { labels, value } of read()) this.inc(labels, value);
        },
      });
    };
    show('requests', 'Requests that models answered, by outcome', outcomes, ['outcome']);
    show('runs', 'Runs of a network, by how many requests shared it', batches, ['requests']);
    show(
      'queue_seconds',
      'Time requests waited for a worker and a batch',
      of(({ queueUs }) => queueUs / MICROSECONDS),
    );
    show(
      'decode_seconds',
      'Time pictures took to decode and scale',
      of(({ decodeUs }) => decodeUs / MICROSECONDS),
    );
    show(
      'compute_seconds',
      'Time of the runs that requests were part of',
      of(({ computeUs }) => computeUs / MICROSECONDS),
    );
    show(
      'output_seconds',
      'Time answers took to be made of outputs',
      of(({ outputUs }) => outputUs / MICROSECONDS),
    );
  }
}
