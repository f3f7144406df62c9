import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';

import type { Logger } from '../logger.js';

/** A collector has taken a batch, or has not. */
type Report = Parameters<SpanExporter['export']>[1];

/** Says once in the life of a process that spans don't arrive; after that only at debug level. */
export class ExportReporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #url: string;
  readonly #log: Logger;
  #warned = false;

  constructor(exporter: SpanExporter, url: string, log: Logger) {
    this.#exporter = exporter;
    this.#url = url;
    this.#log = log;
  }

  export(spans: ReadableSpan[], report: Report): void {
    this.#exporter.export(spans, (result) => {
      if (result.error) this.#failed(spans.length, result.error);
      report(result);
    });
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #failed(spans: number, error: Error): void {
    const fields = { endpoint: this.#url, spans, error: textOf(error) };
    if (this.#warned) this.#log.debug(fields, 'spans are lost');
    else this.#log.warn(fields, 'spans are lost: the collector does not take them; said once');
    this.#warned = true;
  }
}

/** An error of a connection that was tried at several addresses has no text of its own. */
function textOf(error: Error): string {
  const code = 'code' in error ? String(error.code) : error.name;
  return error.message === '' ? code : error.message;
}
