import { createServer } from 'node:net';

import { HealthProbe } from '../../launcher/health-probe.js';
import { assert, suite } from '../suite.js';

/** Addresses at which nobody listens. */
async function deadAddresses(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const addresses = await Promise.all(
    servers.map(
      (server) =>
        new Promise<string>((resolve) => {
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(`127.0.0.1:${String(typeof address === 'object' && address?.port)}`);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}

suite('health probe', (test) => {
  test('keeps the complaints of those that it asked last, and no more than it may', async () => {
    const probe = new HealthProbe({ mode: 'open' }, 2);
    const [first = '', second = '', third = ''] = await deadAddresses(3);
    for (const address of [first, second, first, third])
      assert.is(await probe.check(address, 2000), 'UNREACHABLE');
    assert.is(probe.complaintOf(second), undefined);
    for (const address of [first, third])
      assert.match(probe.complaintOf(address) ?? '', /ECONNREFUSED/);
    assert.is(await probe.check(second, 2000), 'UNREACHABLE', 'it can be asked again');
    assert.match(probe.complaintOf(second) ?? '', /ECONNREFUSED/);
    probe.close();
  });
});
