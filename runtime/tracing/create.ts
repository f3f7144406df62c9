import type { Logger } from '../logger.js';
import { noTracer } from './tracer.js';
import type { Tracer } from './tracer.js';

export interface TracerOptions {
  /** Base URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; undefined = no traces. */
  readonly endpoint: string | undefined;
  /** What made the spans: `service.name` and so on. */
  readonly resource: Readonly<Record<string, string>>;
  readonly log: Logger;
}

/** The tracer of a process, owned by the caller. OpenTelemetry is loaded only where there is an endpoint. */
export async function createTracer({ endpoint, ...rest }: TracerOptions): Promise<Tracer> {
  if (endpoint === undefined) return noTracer;
  const { OtlpTracer } = await import('./otlp-tracer.js');
  return new OtlpTracer({ endpoint, ...rest });
}
