import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';

import { closeBetweenFrames } from '../../runtime/late-close.js';
import { assert, suite } from '../suite.js';

suite('late close', (test) => {
  test('a goodbye of the peer closes the session, but not while what came with it is read', async () => {
    const server = createServer();
    const wasClosed: boolean[] = [];
    server.on('session', (session: ServerHttp2Session) => {
      closeBetweenFrames(session);
      const close = session.close.bind(session);
      session.close = (callback) => {
        close(callback);
        wasClosed.push(session.closed);
      };
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const opened = once(server, 'session') as Promise<[ServerHttp2Session]>;
    const client = connect(`http://127.0.0.1:${String(port)}`);
    const ready = once(client, 'remoteSettings');
    const [session] = await opened;
    const heard = once(session, 'goaway');
    await ready;
    client.goaway(0);
    await heard;
    while (!session.destroyed) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(wasClosed, [false]);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test('who waits for the end of a session hears of it', async () => {
    const server = createServer();
    server.on('session', closeBetweenFrames);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const opened = once(server, 'session') as Promise<[ServerHttp2Session]>;
    const client = connect(`http://127.0.0.1:${String(port)}`);
    const [session] = await opened;
    await new Promise<void>((resolve) => {
      session.close(resolve);
      session.close();
    });
    assert.ok(session.destroyed);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
