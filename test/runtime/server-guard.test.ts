import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { once } from 'node:events';

import { Server, status } from '@grpc/grpc-js';
import type { handleUnaryCall } from '@grpc/grpc-js';

import { framed, RawSession } from '../../bench/fuzz/raw-call.js';
import type { CallStep } from '../../bench/fuzz/raw-call.js';
import { toStatus } from '../../protos/status.js';
import { CallGuard } from '../../runtime/call-guard.js';
import type { CallLimits } from '../../runtime/call-guard.js';
import { guardConnections } from '../../runtime/connection-guard.js';
import { serveOnLoopback } from '../loopback-server.js';
import { assert, suite } from '../suite.js';

const METHOD = '/test.Echo/Say';
const BAD = 'bad';
const LIMITS: CallLimits = {
  ...{ max_open_calls: 100, max_transit_bytes: 1024 ** 3 },
  ...{ default_budget_ms: 10_000, max_budget_ms: 10_000 },
};

/** A guarded server that answers with what it is sent, and its address. */
class Echo implements Disposable {
  readonly guard: CallGuard;
  readonly #server: Server;
  address = '';

  constructor(limits: Partial<CallLimits>, maxConnections = 100) {
    this.guard = new CallGuard({ ...LIMITS, ...limits }, toStatus);
    this.#server = new Server({ interceptors: [this.guard.interceptor] });
    guardConnections(this.#server, { max_connections: maxConnections, max_metadata_bytes: 8192 });
    const say: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
      callback(null, call.request);
    };
    const definition = {
      ...{ path: METHOD, requestStream: false, responseStream: false },
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => {
        if (bytes.toString() === BAD) throw new Error('not a message');
        return bytes;
      },
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    };
    this.#server.addService({ say: definition }, { say });
  }

  static async start(limits: Partial<CallLimits>, maxConnections?: number): Promise<Echo> {
    const echo = new Echo(limits, maxConnections);
    echo.address = `127.0.0.1:${String(await serveOnLoopback(echo.#server))}`;
    return echo;
  }

  async call(...steps: readonly CallStep[]) {
    using session = new RawSession(this.address);
    return await session.call(METHOD, { steps, timeoutMs: 5000 });
  }

  [Symbol.dispose](): void {
    this.#server.forceShutdown();
  }
}

const whole = (text: string): CallStep[] => [{ message: Buffer.from(text) }, { end: true }];

async function idle(address: string): Promise<ClientHttp2Session> {
  const session = connect(`http://${address}`);
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  return session;
}

suite('guards of a server', (test) => {
  test('bytes that are no message, no compression and no deadline are the fault of the caller', async () => {
    using echo = await Echo.start({});
    using session = new RawSession(echo.address);
    assert.is((await echo.call(...whole('good'))).code, status.OK);
    const malformed = await echo.call(...whole(BAD));
    assert.is(malformed.code, status.INVALID_ARGUMENT);
    assert.match(malformed.details.toString('latin1'), 'MALFORMED_MESSAGE');
    const compressed = { bytes: framed(Buffer.from('not so'), 1) };
    const zipped = await session.call(METHOD, {
      ...{ steps: [compressed, { end: true }], timeoutMs: 5000 },
      headers: { 'grpc-encoding': 'gzip' },
    });
    assert.is(zipped.code, status.INVALID_ARGUMENT);
    const late = await session.call(METHOD, {
      ...{ steps: whole('x'), timeoutMs: 5000, headers: { 'grpc-timeout': 'soon' } },
    });
    assert.is(late.code, status.INVALID_ARGUMENT);
  });

  test('a request that does not come in time is not waited for', async () => {
    using echo = await Echo.start({ default_budget_ms: 200 });
    const { code, message } = await echo.call({ bytes: framed(Buffer.from('half'), 0, 100) });
    assert.is(code, status.DEADLINE_EXCEEDED);
    assert.match(message, 'no request came within 200 ms');
  });

  test('what is half received is bounded over all calls, and small calls are served', async () => {
    using echo = await Echo.start({ max_transit_bytes: 64 * 1024 });
    const half = echo.call({ bytes: framed(Buffer.alloc(200 * 1024), 0, 300 * 1024) });
    assert.is((await echo.call(...whole('small'))).code, status.OK);
    const { code, message } = await half;
    assert.ok(code === status.RESOURCE_EXHAUSTED || code === undefined, message);
    assert.is((await echo.call(...whole('small'))).code, status.OK);
  });

  test('calls that are open are bounded, and room comes back', async () => {
    using echo = await Echo.start({ max_open_calls: 1 });
    using session = new RawSession(echo.address);
    const first = session.call(METHOD, { steps: [], timeoutMs: 300 });
    while (echo.guard.open === 0) await new Promise((resolve) => setImmediate(resolve));
    const refused = await echo.call(...whole('more'));
    assert.is(refused.code, status.RESOURCE_EXHAUSTED);
    assert.match(refused.message, 'the limit max_open_calls is 1');
    await first;
    while (echo.guard.open > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.is((await echo.call(...whole('again'))).code, status.OK);
  });

  test('of too many connections the one that is idle for the longest makes room', async () => {
    using echo = await Echo.start({}, 3);
    const sessions = [await idle(echo.address), await idle(echo.address), await idle(echo.address)];
    const [oldest] = sessions;
    const gone = once(oldest!, 'close');
    assert.is((await echo.call(...whole('newcomer'))).code, status.OK);
    await gone;
    assert.not.ok(sessions[2]?.destroyed);
    for (const session of sessions) session.destroy();
  });
});
