import { AsyncLocalStorage } from 'node:async_hooks';

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, HrTime, Span as OtelSpan, Tracer as OtelTracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import { VERSION } from '../version.js';
import { ExportReporter } from './export-reporter.js';
import { formatTraceparent, parseTraceparent } from './traceparent.js';
import type { Span, SpanEnd, SpanStart, Tracer } from './tracer.js';

export interface OtlpTracerOptions {
  readonly endpoint: string;
  readonly resource: Readonly<Record<string, string>>;
  readonly log: Logger;
  /** Time for one batch to reach the collector, ms; default 3000. */
  readonly exportTimeoutMs?: number;
  /** Time that the end of the tracer gives to the last batches, ms; default 2000. */
  readonly flushTimeoutMs?: number;
}

/** Spans that wait, sent in batches; past the limit new ones are dropped. */
const QUEUE = { maxQueueSize: 4096, maxExportBatchSize: 512, scheduledDelayMillis: 1000 };

/** Sends spans to an OpenTelemetry collector over HTTP. A collector that is slow or gone costs spans, never calls. */
export class OtlpTracer implements Tracer {
  readonly enabled = true;
  readonly #log: Logger;
  readonly #flushTimeoutMs: number;
  readonly #provider: TracerProvider;
  readonly #tracer: OtelTracer;
  readonly #current = new AsyncLocalStorage<OtlpSpan>();

  constructor({ endpoint, resource, log, ...times }: OtlpTracerOptions) {
    const { exportTimeoutMs = 3000, flushTimeoutMs = 2000 } = times;
    this.#log = log;
    this.#flushTimeoutMs = flushTimeoutMs;
    const url = tracesUrl(endpoint);
    const sender = new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs });
    const exporter = new ExportReporter(sender, url, log);
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes(resource),
      spanProcessors: [
        new BatchSpanProcessor({ exporter, ...QUEUE, exportTimeoutMillis: exportTimeoutMs }),
      ],
    });
    this.#tracer = this.#provider.getTracer('fractory', VERSION);
  }

  start({ name, kind, parent, startedAtUs, attributes }: SpanStart): Span {
    const span = this.#tracer.startSpan(
      name,
      {
        kind: kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
        startTime: timeOf(startedAtUs ?? nowUs()),
        attributes,
      },
      contextOf(parent),
    );
    return new OtlpSpan(span, this.#current);
  }

  current(): string {
    const span = this.#current.getStore();
    return span && !span.ended ? span.traceparent : '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`they took longer than ${String(this.#flushTimeoutMs)} ms`));
      }, this.#flushTimeoutMs);
    });
    try {
      await Promise.race([this.#provider.shutdown(), late]);
    } catch (error) {
      this.#log.debug({ error: messageOf(error) }, 'last spans are lost');
    } finally {
      clearTimeout(timer);
    }
  }
}

class OtlpSpan implements Span {
  readonly traceparent: string;
  readonly #span: OtelSpan;
  readonly #current: AsyncLocalStorage<OtlpSpan>;
  #ended = false;

  constructor(span: OtelSpan, current: AsyncLocalStorage<OtlpSpan>) {
    this.#span = span;
    this.#current = current;
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceparent = formatTraceparent({ traceId, spanId, flags: traceFlags });
  }

  /** What outlives a span, such as a stream opened in it, is no part of it. */
  get ended(): boolean {
    return this.#ended;
  }

  run<T>(work: () => T): T {
    return this.#current.run(this, work);
  }

  end({ attributes, failure }: SpanEnd = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    if (attributes) this.#span.setAttributes(attributes);
    if (failure) {
      this.#span.setAttribute('error.type', failure.reason);
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
    }
    this.#span.end(timeOf(nowUs()));
  }
}

function contextOf(parent: string): Context {
  const known = parseTraceparent(parent);
  if (!known) return ROOT_CONTEXT;
  const { traceId, spanId, flags } = known;
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId, spanId, traceFlags: flags, isRemote: true },
  });
}

/** The path for traces under a collector's base URL, unless it is there already. */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith('/v1/traces'))
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`;
  return url.href;
}

function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** Seconds and nanoseconds. */
function timeOf(us: number): HrTime {
  return [Math.floor(us / 1e6), (us % 1e6) * 1000];
}
