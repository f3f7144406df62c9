import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { Registry } from 'prom-client';

import { Directory } from '../../../../controllers/kernel/directory.js';
import { NodeGossip } from '../../../../controllers/kernel/gossip/node.js';
import { systemClock } from '../../../../runtime/clock.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { assert, suite } from '../../../suite.js';
import { MemberList } from '../member-list.js';

const KEY = Buffer.alloc(32, 7).toString('base64');

/** Listens on this port, any by default, for a moment; resolves with it. */
async function listenOnce(port = 0): Promise<number> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;
  server.close();
  await once(server, 'close');
  return bound;
}

suite('gossip of a node', (test) => {
  test('a node that is stopped while it starts leaves no socket behind', async () => {
    const port = await listenOnce();
    const directory = new Directory(new MemberList(), systemClock);
    const gossip = new NodeGossip({
      config: { profile: 'fast', join: [], port, keys: [KEY] },
      ...{ host: '127.0.0.1', dataCenter: 'fractory', member: 'math-1', type: 'math', directory },
      ...{ registry: new Registry(), log: silentLogger(), underWay: () => 0 },
    });
    const started = gossip.start('3f2a91c0', '127.0.0.1:1');
    await gossip[Symbol.asyncDispose]();
    assert.is(await started, undefined);
    assert.is(await listenOnce(port), port);
    assert.is(gossip.view().running, false);
    directory.close();
  });
});
