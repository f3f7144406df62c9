import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { ClosedSessions } from '../../runtime/closed-sessions.js';
import { assert, suite } from '../suite.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

suite('closed sessions', (test) => {
  test('are kept from their end until a whole collection has passed', async () => {
    const closed = new ClosedSessions();
    const server = createServer();
    server.on('session', (session) => {
      closed.watch(session);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const opened = once(server, 'session');
    const client = connect(`http://127.0.0.1:${String(port)}`);
    const [session] = (await opened) as [NodeJS.EventEmitter];
    assert.is(closed.size, 0);
    const over = once(session, 'close');
    client.close();
    await over;
    assert.is(closed.size, 1);
    while (closed.size > 0) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await new Promise((resolve) => server.close(resolve));
  });
});
