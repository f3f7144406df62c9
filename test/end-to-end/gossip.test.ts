import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

import { assert, suite } from '../suite.js';
import { checkout } from './live-data-center.js';
import { StartedCommand } from './started-command.js';

/** Addresses on loopback that nobody has now. */
async function freeAddresses(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports.map((port) => `127.0.0.1:${String(port)}`);
}

function gossip(...args: string[]): StartedCommand {
  const launcher = path.join(checkout, 'datacenter');
  return new StartedCommand(launcher, ['gossip', '--profile', 'local', ...args]);
}

async function active(http: string): Promise<string> {
  const response = await fetch(`http://${http}/members`);
  const { Active } = (await response.json()) as { Active: { Name: string }[] };
  return Active.map(({ Name }) => Name).join();
}

suite('the edge agent as a command', (test) => {
  test(
    'two find each other, share a map, and the one that is stopped has left',
    async () => {
      const [bind = '', otherBind = '', http = '', otherHttp = ''] = await freeAddresses(4);
      const one = gossip('--name', 'one', '--bind', bind, '--http', http, '--tag', 'role=edge');
      await one.said('one gossips at');
      const two = gossip('--name', 'two', '--bind', otherBind, '--http', otherHttp, '--join', bind);
      await Promise.all([one.said('join     two'), two.said('join     one')]);
      assert.is(await active(http), 'one,two');
      await fetch(`http://${otherHttp}/add?key=k&val=v`, { method: 'POST' });
      while ((await fetch(`http://${http}/get?key=k`)).status !== 200);
      two.signal('SIGTERM');
      assert.is((await two.ended).code, 0);
      await one.said('leave    two');
      assert.is(await active(http), 'one');
      const [twinBind = ''] = await freeAddresses(1);
      const twin = await gossip('--name', 'one', '--bind', twinBind, '--join', bind).ended;
      assert.is(twin.code, 1, twin.stderr);
      assert.match(twin.stderr, /the name one is taken by/);
      assert.is(await active(http), 'one');
      one.signal('SIGINT');
      assert.is((await one.ended).code, 130);
    },
    { timeoutMs: 30_000 },
  );

  test(
    'wrong flags end it with code 2 and what to do',
    async () => {
      const { code, stderr } = await gossip('--bind', '0.0.0.0:7946').ended;
      assert.is(code, 2);
      assert.match(stderr, /give --key, --key-file or --keyring/);
    },
    { timeoutMs: 30_000 },
  );
});
