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

  test('a keyring that is there is what counts, and whatever says otherwise is refused', async () => {
    await using folder = await temporaryFolder();
    const keyring = path.join(folder.path, 'keyring.json');
    const [first, second] = [randomBytes(16), randomBytes(32)];
    const [key, other] = [first.toString('base64'), second.toString('base64')];
    const made = await planAgent({ ...flags, keyring, key }, 'machine');
    assert.ok(made.makesKeyring);
    await made.agent.keyring?.keep();
    const again = await planAgent({ ...flags, keyring, key }, 'machine');
    assert.not.ok(again.makesKeyring);
    await again.agent.keyring?.add(second);
    const { agent } = await planAgent({ ...flags, keyring }, 'machine');
    assert.equal(agent.keyring?.keys, [first, second]);
    for (const given of [key, other]) {
      const error = await rejects(planAgent({ ...flags, keyring, key: given }, 'machine'), Error);
      assert.match(
        error.message,
        /--key: differs from what is in .*keyring\.json: leave --key out/,
      );
    }
    const bound = { ...flags, bind: '10.0.0.1:7946', keyring };
    assert.is((await planAgent(bound, 'machine')).agent.bind, '10.0.0.1');
    await writeFile(keyring, '["AAAA"]');
    const error = await rejects(planAgent({ ...flags, keyring }, 'machine'), Error);
    assert.match(error.message, /key 1 of 1 has 3 bytes/);
  });

  test('what can not be, or would be open to all, is refused with what to do', async () => {
    const key = randomBytes(16).toString('base64');
    for (const [bad, expected] of [
      [{ bind: '0.0.0.0:7946' }, /give --key, --key-file or --keyring/],
      [{ bind: '0.0.0.0:7946', key }, /--advertise/],
      [{ plain: true, key }, /--plain: and keys are both given/],
      [{ bind: 'localhost:7946' }, /expected IP-ADDRESS:PORT/],
      [{ bind: '127.0.0.1:99999' }, /--bind: is "127.0.0.1:99999", .* the port up to 65535/],
      [{ advertise: '10.0.0.1:0' }, /--advertise: .* nobody is reached at port 0/],
      [{ join: '10.0.0.1:0' }, /--join: .* nobody is reached at port 0/],
      [{ join: ', ,' }, /--join: names nobody/],
      [{ http: '10.0.0.1:80' }, /give a --token/],
      [{ http: '10.0.0.1:80', token: 'short' }, /at least 16/],
      [{ profile: 'moon' }, /expected lan, wan, local/],
      [{ profile: 'toString' }, /expected lan, wan, local/],
      [{ tag: ['a'] }, /expected KEY=VALUE/],
      [{ key: 'not base64!' }, /is not base64/],
      [{ key: 'AAAA' }, /--key: has a key of 3 bytes, expected 16, 24 or 32/],
      [{ key: '' }, /--key: has no key/],
      [{ keyFile: '/nowhere/at/all' }, /--key-file: \/nowhere\/at\/all does not exist/],
      [{ keyring: '/nowhere/at/all' }, /--keyring: .* does not exist: give it its first key/],
    ] as const) {
      const error = await rejects(planAgent({ ...flags, ...bad }, 'machine'), Error);
      assert.match(error.message, expected);
    }
    const open = await planAgent({ ...flags, bind: '10.0.0.1:7946', plain: true }, 'machine');
    assert.is(open.agent.bind, '10.0.0.1');
  });
});
