import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { gossipKeyFile, withKeys } from '../../config/gossip.js';
import { assert, suite } from '../suite.js';
import { IniFolder, STORAGE } from './ini-folder.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const SHORT = Buffer.alloc(16, 8).toString('base64');

function ini(...lines: readonly string[]): Promise<IniFolder> {
  return IniFolder.create(['[Gossip]', ...lines, STORAGE].join('\n'));
}

suite('configuration of gossip', (test) => {
  test('nobody gossips unless it is switched on', async () => {
    await using folder = await IniFolder.create(STORAGE);
    assert.is((await folder.load()).gossip, undefined);
    const { gossip, places } = await folder.load({ FRACTORY_GOSSIP_ENABLED: 'true' });
    assert.equal(gossip, {
      ...{ join: [], profile: 'fast', port: 0, keys: [] },
      keyring: path.join(places.statePath, 'gossip-keyring.json'),
    });
  });

  test('every key is read', async () => {
    await using folder = await ini(
      ...['enabled = true', 'profile = lan', 'port = 7946', `key = ${KEY}, ${SHORT}`],
      ...['join = 10.0.0.5:7946, [::1]:7947', 'keyring = keys/changed.json'],
    );
    assert.equal((await folder.load()).gossip, {
      ...{ join: ['10.0.0.5:7946', '[::1]:7947'], profile: 'lan', port: 7946 },
      ...{ keys: [KEY, SHORT], keyring: path.join(folder.root, 'keys/changed.json') },
    });
  });

  test('what is wrong is named, and a key is shown to nobody', async () => {
    await using folder = await ini('enabled = true', 'key = c2VjcmV0', 'join = here:7946');
    const problems = await folder.problems({ FRACTORY_GOSSIP_PROFILE: 'quick' });
    assert.equal(problems.map(({ key }) => key).sort(), ['join', 'key', 'profile']);
    const text = JSON.stringify(problems);
    assert.match(text, /base64 of 16, 24 or 32 bytes/);
    assert.not.match(text, /c2VjcmV0/);
    for (const join of ['10.0.0.5', '10.0.0.5:0', '10.0.0.5:70000', '[10.0.0.5]:1', '::1:7946'])
      assert.is((await folder.problems({ FRACTORY_GOSSIP_JOIN: join })).length, 2, join);
  });

  test('the value of a key is hidden where values are shown', async () => {
    await using folder = await ini('enabled = true', `key = ${KEY}`);
    const { values } = await folder.load();
    const key = values.find((value) => value.section === 'Gossip' && value.key === 'key');
    assert.is(key?.value, '(hidden)');
    assert.is(key?.origin, 'file');
    assert.not.match(JSON.stringify(values), new RegExp(KEY.slice(0, 20)));
  });

  test('keys come from a file, or from that of the launcher', async () => {
    await using folder = await ini('enabled = true', 'key_file = keys');
    const [missing] = await folder.problems();
    assert.is(missing?.key, 'key_file');
    await writeFile(path.join(folder.root, 'keys'), `${KEY}\n${SHORT}\n`);
    assert.equal((await folder.load()).gossip?.keys, [KEY, SHORT]);
    assert.equal(
      (await folder.problems({ FRACTORY_GOSSIP_KEY: KEY })).map(({ key }) => key),
      ['key_file'],
      'one or the other',
    );
  });

  test('without the file of the launcher a node is told what to do', async () => {
    await using folder = await ini('enabled = true');
    const { gossip, places } = await folder.load();
    assert.ok(gossip);
    assert.match((await withKeys(gossip, places.statePath)).problem ?? '', /FRACTORY_GOSSIP_KEY/);
    await mkdir(places.statePath, { recursive: true });
    const file = gossipKeyFile(places.statePath);
    await writeFile(file, 'nonsense');
    assert.match((await withKeys(gossip, places.statePath)).problem ?? '', /holds no key/);
    await writeFile(file, `${KEY}\n`);
    const found = await withKeys(gossip, places.statePath);
    assert.equal([found.keys, found.problem], [[KEY], undefined]);
  });
});
