import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** A span as a collector got it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** '' at the root. */
  readonly parentSpanId: string;
  /** 1 internal, 2 server. */
  readonly kind: number;
  /** 0 unset, 2 error. */
  readonly status: { readonly code?: number; readonly message?: string };
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** A collector that takes OTLP as JSON over HTTP and remembers the spans. */
export class Collector implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  /** Paths of the requests. */
  readonly paths: string[] = [];
  readonly #server: Server;
  readonly #news = new EventEmitter();

  private constructor(status: number) {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(() => response.writeHead(status).end('{}'));
    });
  }

  /** Answers all requests with this status; default 200. */
  static async start(status = 200): Promise<Collector> {
    const collector = new Collector(status);
    collector.#server.listen(0, '127.0.0.1');
    await once(collector.#server, 'listening');
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** Resolves when that many requests have come. */
  async requests(count: number): Promise<void> {
    while (this.paths.length < count) await once(this.#news, 'request');
  }

  named(name: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  async #take(request: IncomingMessage): Promise<void> {
    const body = (await json(request)) as Batch;
    for (const { resource, scopeSpans } of body.resourceSpans)
      for (const { spans } of scopeSpans)
        this.spans.push(...spans.map((span) => received(span, resource.attributes)));
    this.paths.push(request.url ?? '');
    this.#news.emit('request');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

type Attributes = readonly { readonly key: string; readonly value: Readonly<object> }[];

interface SentSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly status: ReceivedSpan['status'];
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Attributes;
}

interface Batch {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}

function received(span: SentSpan, resource: Attributes): ReceivedSpan {
  const { name, traceId, spanId, kind, status } = span;
  return {
    ...{ name, traceId, spanId, kind, status },
    parentSpanId: span.parentSpanId ?? '',
    startUs: Number(BigInt(span.startTimeUnixNano) / 1000n),
    endUs: Number(BigInt(span.endTimeUnixNano) / 1000n),
    attributes: plain(span.attributes),
    resource: plain(resource),
  };
}

/** Integers arrive as text or as numbers. */
function plain(attributes: Attributes): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [[kind, content] = []] = Object.entries(value) as [string, unknown][];
      return [key, kind === 'intValue' ? Number(content) : content];
    }),
  );
}
