import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';

import { pino } from 'pino';

import { silentLogger } from '../../../runtime/logger.js';
import type { Logger } from '../../../runtime/logger.js';
import { createTracer } from '../../../runtime/tracing/create.js';
import { tracingInterceptors } from '../../../runtime/tracing/metadata.js';
import { OtlpTracer, tracesUrl } from '../../../runtime/tracing/otlp-tracer.js';
import { parseTraceparent } from '../../../runtime/tracing/traceparent.js';
import { noSpan, noTracer } from '../../../runtime/tracing/tracer.js';
import type { Span, Tracer } from '../../../runtime/tracing/tracer.js';
import { assert, suite } from '../../suite.js';
import { Collector } from './collector.js';

const RESOURCE = { 'service.name': 'fractory-math', 'service.instance.id': 'math-1' };
const CALLER = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

function tracerFor(endpoint: string, log = silentLogger()): Promise<Tracer> {
  return createTracer({ endpoint, resource: RESOURCE, log });
}

function start(tracer: Tracer, name: string, parent = ''): Span {
  return tracer.start({ name, kind: 'internal', parent, attributes: { 'fractory.step': name } });
}

/** A log whose lines can be read. */
function readableLog(): { log: Logger; lines: () => { level: number; msg: string }[] } {
  const stream = new PassThrough();
  const log = pino({ level: 'debug' }, stream);
  const lines = (): { level: number; msg: string }[] =>
    String(stream.read() ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { level: number; msg: string });
  return { log, lines };
}

/** How often somebody was warned. */
function warnings(lines: readonly { level: number }[]): number {
  return lines.filter(({ level }) => level >= 40).length;
}

suite('a node that traces nothing', (test) => {
  test('has the one tracer and the one span of all such nodes', async () => {
    const log = silentLogger();
    const tracer = await createTracer({ endpoint: undefined, resource: RESOURCE, log });
    assert.is(tracer, noTracer);
    assert.is(tracer.enabled, false);
    assert.is(start(tracer, 'a'), noSpan);
    assert.is(start(tracer, 'b'), noSpan);
    assert.is(noSpan.traceparent, '');
    assert.is(
      noSpan.run(() => tracer.current()),
      '',
    );
    assert.equal(tracingInterceptors(tracer), []);
  });
});

suite('a tracer over OTLP', (test) => {
  test('sends what is waiting when it ends, to the path of traces', async () => {
    await using collector = await Collector.start();
    const tracer = await tracerFor(collector.endpoint);
    const parent = start(tracer, 'parent', `00-${CALLER.traceId}-${CALLER.spanId}-01`);
    const child = start(tracer, 'child', parent.traceparent);
    child.end({ failure: { reason: 'TOO_LARGE', message: 'the number is too large' } });
    parent.end({ attributes: { 'fractory.bytes_out': 3 } });
    await tracer[Symbol.asyncDispose]();
    assert.equal(collector.paths, ['/v1/traces']);
    const [of, under] = [collector.named('parent')[0], collector.named('child')[0]];
    assert.ok(of && under);
    assert.is(of.traceId, CALLER.traceId);
    assert.is(of.parentSpanId, CALLER.spanId);
    assert.equal(of.attributes, { 'fractory.step': 'parent', 'fractory.bytes_out': 3 });
    assert.is(of.resource['service.instance.id'], 'math-1');
    assert.equal(of.status, { code: 0 });
    assert.is(under.traceId, CALLER.traceId);
    assert.is(under.parentSpanId, of.spanId);
    assert.equal(under.status, { code: 2, message: 'the number is too large' });
    assert.is(under.attributes['error.type'], 'TOO_LARGE');
    assert.is(parseTraceparent(parent.traceparent)?.spanId, of.spanId);
    assert.ok(of.startUs <= under.startUs && under.startUs <= under.endUs);
    assert.ok(under.endUs <= of.endUs);
  });

  test('a span ends once, and what its caller does not record is not recorded', async () => {
    await using collector = await Collector.start();
    const tracer = await tracerFor(collector.endpoint);
    const span = start(tracer, 'once');
    span.end();
    span.end({ failure: { reason: 'LATE', message: 'late' } });
    const silent = start(tracer, 'silent', `00-${CALLER.traceId}-${CALLER.spanId}-00`);
    assert.equal(parseTraceparent(silent.traceparent)?.flags, 0);
    start(tracer, 'silent too', silent.traceparent).end();
    silent.end();
    await tracer[Symbol.asyncDispose]();
    assert.equal(
      collector.spans.map(({ name, status }) => [name, status.code]),
      [['once', 0]],
    );
  });

  test('the current span is that of the work being done, until it has ended', async () => {
    await using collector = await Collector.start();
    const tracer = await tracerFor(collector.endpoint);
    const span = start(tracer, 'work');
    let proceed: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (proceed = resolve));
    const later = span.run(async () => {
      assert.is(tracer.current(), span.traceparent);
      await gate;
      return tracer.current();
    });
    assert.is(tracer.current(), '');
    span.end();
    proceed();
    assert.is(await later, '');
    await tracer[Symbol.asyncDispose]();
  });

  test('a collector that is gone costs one warning', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const { log, lines } = readableLog();
    const endpoint = `http://127.0.0.1:${String(port)}`;
    const tracer = new OtlpTracer({ endpoint, resource: RESOURCE, log, exportTimeoutMs: 200 });
    // Two batches.
    for (let index = 0; index < 600; index++) start(tracer, `s${String(index)}`).end();
    await tracer[Symbol.asyncDispose]();
    assert.is(warnings(lines()), 1);
  });

  test('a collector that refuses costs one warning', async () => {
    await using collector = await Collector.start(400);
    const { log, lines } = readableLog();
    const tracer = await tracerFor(collector.endpoint, log);
    for (let index = 0; index < 600; index++) start(tracer, `s${String(index)}`).end();
    await tracer[Symbol.asyncDispose]();
    assert.is(collector.paths.length, 2);
    assert.is(warnings(lines()), 1);
  });

  test('a collector that never answers holds nobody up for long', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sockets = new Set<{ destroy(): unknown }>();
    server.on('connection', (socket) => sockets.add(socket));
    const { port } = server.address() as AddressInfo;
    const { log, lines } = readableLog();
    const tracer = new OtlpTracer({
      endpoint: `http://127.0.0.1:${String(port)}`,
      ...{ resource: RESOURCE, log, exportTimeoutMs: 60_000, flushTimeoutMs: 100 },
    });
    start(tracer, 'unheard').end();
    await tracer[Symbol.asyncDispose]();
    assert.equal(
      lines().map(({ msg }) => msg),
      ['last spans are lost'],
    );
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  test('the path of traces is added once', () => {
    assert.is(tracesUrl('http://a:4318'), 'http://a:4318/v1/traces');
    assert.is(tracesUrl('https://a/otlp/'), 'https://a/otlp/v1/traces');
    assert.is(tracesUrl('http://a:4318/v1/traces'), 'http://a:4318/v1/traces');
  });
});
