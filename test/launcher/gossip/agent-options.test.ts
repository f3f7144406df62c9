import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { planAgent } from '../../../launcher/gossip/agent-options.js';
import type { GossipFlags } from '../../../launcher/gossip/agent-options.js';
import { assert, rejects, suite } from '../../suite.js';
import { temporaryFolder } from '../../services/storage/fixture.js';

const flags: GossipFlags = {
  ...{ bind: '127.0.0.1:7946', http: '127.0.0.1:0', profile: 'lan', tag: [] },
};

suite('options of the edge agent', (test) => {
  test('without any it listens on loopback under the name of the machine', async () => {
    const { agent, join, http } = await planAgent(flags, 'machine');
    assert.is(agent.name, 'machine');
    assert.is(agent.bind, '127.0.0.1');
    assert.is(agent.port, 7946);
    assert.is(agent.keyring, undefined);
    assert.equal(join, []);
    assert.equal(http, { host: '127.0.0.1', port: 0, token: '' });
  });

  test('tags, members to join and keys are read', async () => {
    await using folder = await temporaryFolder();
    const keyFile = path.join(folder.path, 'keys');
    const [first, second] = [randomBytes(16), randomBytes(32)];
    await writeFile(keyFile, `${first.toString('base64')}\n${second.toString('base64')}\n`);
    const { agent, join } = await planAgent(
      { ...flags, tag: ['a=b', 'c=d=e'], join: '10.0.0.1,10.0.0.2:80', keyFile },
      'machine',
    );
    assert.equal(agent.tags, { a: 'b', c: 'd=e' });
    assert.equal(join, ['10.0.0.1:7946', '10.0.0.2:80']);
    assert.equal(agent.keyring?.keys, [first, second]);
  });

  test('what can not be, or would be open to all, is refused with what to do', async () => {
    const key = randomBytes(16).toString('base64');
    for (const [bad, expected] of [
      [{ bind: '0.0.0.0:7946' }, /give --key or --key-file/],
      [{ bind: '0.0.0.0:7946', key }, /--advertise/],
      [{ bind: 'localhost:7946' }, /expected IP-ADDRESS:PORT/],
      [{ http: '10.0.0.1:80' }, /give a --token/],
      [{ http: '10.0.0.1:80', token: 'short' }, /at least 16/],
      [{ profile: 'moon' }, /expected lan, wan, local/],
      [{ tag: ['a'] }, /expected KEY=VALUE/],
      [{ key: 'not base64!' }, /is not base64/],
      [{ key: 'AAAA' }, /has 3 bytes/],
      [{ keyFile: '/nowhere/at/all' }, /nowhere/],
    ] as const) {
      const error = await rejects(planAgent({ ...flags, ...bad }, 'machine'), Error);
      assert.match(error.message, expected);
    }
    const open = await planAgent({ ...flags, bind: '10.0.0.1:7946', plain: true }, 'machine');
    assert.is(open.agent.bind, '10.0.0.1');
  });
});
