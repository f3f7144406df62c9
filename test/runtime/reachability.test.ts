import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { reach } from '../../runtime/reachability.js';
import { assert, suite } from '../suite.js';

suite('reachability', (test) => {
  test('an address is accepted while somebody listens there, and refused afterwards', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    assert.is(await reach(address, 1000), 'accepted');
    server.close();
    await once(server, 'close');
    assert.is(await reach(address, 1000), 'refused');
  });

  test('whoever answered while this process was busy is not silent', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const found = reach(`127.0.0.1:${String((server.address() as AddressInfo).port)}`, 20);
    for (const untilMs = performance.now() + 100; performance.now() < untilMs;);
    assert.is(await found, 'accepted');
    server.close();
  });

  test('what is no address is silent', async () => {
    for (const address of ['', 'here', '127.0.0.1:', '127.0.0.1:99999', '127.0.0.1:x'])
      assert.is(await reach(address, 1000), 'silent', address);
  });

  test('a host that nobody knows is silent', async () => {
    assert.is(await reach('nowhere.invalid:1', 1000), 'silent');
  });
});
