/** Facts of a span. Names as OpenTelemetry's conventions have them, ours with `fractory.` in front. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanStart {
  readonly name: string;
  /** `server`: it answers a call from outside. */
  readonly kind: 'server' | 'internal';
  /** `traceparent` of what it belongs to; '' or unreadable = it begins a trace. */
  readonly parent: string;
  /** Microseconds since 1970; default now. */
  readonly startedAtUs?: number;
  readonly attributes: SpanAttributes;
}

export interface SpanEnd {
  readonly attributes?: SpanAttributes;
  /** Set where it failed. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

/** A piece of work under way. Whoever started it ends it. */
export interface Span {
  /** W3C `traceparent` by which others continue the trace from here; '' where nothing is traced. */
  readonly traceparent: string;
  /** Does `work` as part of this span: `Tracer.current` in it, and in what it awaits, is this span. */
  run<T>(work: () => T): T;
  /** The first call counts. */
  end(end?: SpanEnd): void;
}

/** Makes spans. Disposing it sends what is waiting, within a bounded time, and never throws. */
export interface Tracer {
  /** False: spans are nothing. Ask before attributes are put together. */
  readonly enabled: boolean;
  start(start: SpanStart): Span;
  /** `traceparent` of the span whose work is being done; '' outside of all. */
  current(): string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The span of a node that traces nothing: one for all. */
export const noSpan: Span = {
  traceparent: '',
  run: (work) => work(),
  end: () => undefined,
};

/** The twin of a real tracer where no endpoint is configured. */
export const noTracer: Tracer = {
  enabled: false,
  start: () => noSpan,
  current: () => '',
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
