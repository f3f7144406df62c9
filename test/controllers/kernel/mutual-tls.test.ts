import { Client, Server } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';

import { Security } from '../../../controllers/kernel/security.js';
import { Authority } from '../../end-to-end/authority.js';
import type { Certificate } from '../../end-to-end/authority.js';
import { serveOnLoopback } from '../../loopback-server.js';
import { assert, suite } from '../../suite.js';

const skip = await Authority.whyNot();
const DEADLINE_MS = 5000;
const ECHO = '/test.Echo/Echo';

function mutual(authority: Authority, { certificate, key }: Certificate): Security {
  const paths = { caPath: authority.certificate, certificatePath: certificate, keyPath: key };
  return new Security({ mode: 'mtls', ...paths }, 'secret');
}

/** A server of these credentials; resolves with its address. */
async function serve(security: Security): Promise<AsyncDisposable & { readonly address: string }> {
  const server = new Server();
  const bytes = (value: Buffer): Buffer => value;
  server.addService(
    {
      echo: {
        ...{ path: ECHO, requestStream: false, responseStream: false },
        ...{ requestSerialize: bytes, requestDeserialize: bytes },
        ...{ responseSerialize: bytes, responseDeserialize: bytes },
      },
    },
    {
      echo: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
        done(null, call.request);
      },
    },
  );
  const port = await serveOnLoopback(server, security.serverCredentials());
  return {
    address: `localhost:${String(port)}`,
    [Symbol.asyncDispose]: () => {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
}

/** Whether a caller with these credentials is answered. */
function isServed(address: string, credentials: ChannelCredentials): Promise<boolean> {
  const client = new Client(address, credentials, { 'grpc.enable_http_proxy': 0 });
  const bytes = (value: Buffer): Buffer => value;
  return new Promise((resolve) => {
    const deadline = Date.now() + DEADLINE_MS;
    client.makeUnaryRequest(ECHO, bytes, bytes, Buffer.from('hi'), { deadline }, (error) => {
      client.close();
      resolve(!error);
    });
  });
}

suite('mode mtls', (test) => {
  test(
    'nobody is served who shows no certificate, an expired one or one of another authority',
    async () => {
      await using ours = await Authority.create();
      await using theirs = await Authority.create();
      await using server = await serve(mutual(ours, await ours.issue('node')));
      const callers = {
        good: mutual(ours, await ours.issue('caller')),
        expired: mutual(ours, await ours.issue('expired', -1)),
        foreign: mutual(ours, await theirs.issue('foreign')),
        none: new Security({ mode: 'open' }, 'secret'),
      };
      for (const [who, caller] of Object.entries(callers)) {
        const expected = who === 'good';
        assert.is(await isServed(server.address, caller.channelCredentials()), expected, who);
      }
    },
    { skip, timeoutMs: 60_000 },
  );

  test(
    'no node is called that shows an expired certificate or one of another authority',
    async () => {
      await using ours = await Authority.create();
      await using theirs = await Authority.create();
      const caller = mutual(ours, await ours.issue('caller'));
      const nodes = {
        expired: mutual(ours, await ours.issue('expired', -1)),
        // It would let the caller in.
        foreign: new Security(
          {
            ...{ mode: 'mtls', caPath: ours.certificate },
            ...pathsOf(await theirs.issue('foreign')),
          },
          'secret',
        ),
      };
      for (const [who, node] of Object.entries(nodes)) {
        await using server = await serve(node);
        assert.is(await isServed(server.address, caller.channelCredentials()), false, who);
      }
    },
    { skip, timeoutMs: 60_000 },
  );
});

function pathsOf({ certificate, key }: Certificate): { certificatePath: string; keyPath: string } {
  return { certificatePath: certificate, keyPath: key };
}
