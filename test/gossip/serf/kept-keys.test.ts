import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { SerfAgent, withoutSerf } from '../../../bench/interop/serf-agent.js';
import { temporaryFolder } from '../../services/storage/fixture.js';
import { assert, suite } from '../../suite.js';
import { LaunchedAgent } from './launched-agent.js';

const options = { skip: withoutSerf(), timeoutMs: 60_000 };
const keyOf = (): string => randomBytes(32).toString('base64');

async function keysIn(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}

suite('keys of an agent of ours that agents of Serf change', (test) => {
  test(
    'are still there when it is started again, and Serf starts with its file too',
    async () => {
      await using folder = await temporaryFolder();
      const keyring = path.join(folder.path, 'keyring.json');
      const [old, fresh] = [keyOf(), keyOf()];
      await using serf = await SerfAgent.start('serf1', '127.0.95.1', [`-encrypt=${old}`]);
      const flags = ['--name', 'ts1', '--bind', '127.0.95.11:7946', '--join', serf.address];
      await using first = await LaunchedAgent.start(...flags, '--keyring', keyring, '--key', old);
      await first.said('join     serf1');
      assert.equal(await keysIn(keyring), [old]);
      await serf.until((members) => members['ts1']?.status === 'alive');
      await serf.ask('keys', `-install=${fresh}`);
      await serf.ask('keys', `-use=${fresh}`);
      assert.equal(await keysIn(keyring), [fresh, old]);
      await first.said('keys     use: done');
      await first.stop();
      // Now who only knows the old key is not understood by anybody.
      await serf.ask('keys', `-remove=${old}`);

      await using again = await LaunchedAgent.start(...flags, '--keyring', keyring);
      await again.said('join     serf1');
      await serf.until((members) => members['ts1']?.status === 'alive');
      assert.match(await serf.ask('keys', '-list'), /2\/2/);
      await serf.ask('keys', `-remove=${old}`);
      assert.equal(await keysIn(keyring), [fresh]);

      const copied = path.join(folder.path, 'copied.json');
      await copyFile(keyring, copied);
      const theirs = [`-keyring-file=${copied}`, '-join=127.0.95.11:7946'];
      await using second = await SerfAgent.start('serf2', '127.0.95.2', theirs);
      await second.until(({ ts1, serf1 }) => ts1?.status === 'alive' && serf1?.status === 'alive');
      await second.ask('keys', `-install=${keyOf()}`);
      assert.equal(await keysIn(keyring), await keysIn(copied));
    },
    options,
  );

  test(
    'stay what they are where the file can not be written, and who asked is told why',
    async () => {
      await using folder = await temporaryFolder();
      const place = path.join(folder.path, 'keys');
      await mkdir(place);
      const keyring = path.join(place, 'keyring.json');
      const [old, fresh] = [keyOf(), keyOf()];
      await writeFile(keyring, JSON.stringify([old]));
      await using serf = await SerfAgent.start('serf1', '127.0.96.1', [`-encrypt=${old}`]);
      const flags = ['--name', 'ts1', '--bind', '127.0.96.11:7946', '--join', serf.address];
      await using agent = await LaunchedAgent.start(...flags, '--keyring', keyring);
      await agent.said('join     serf1');
      await serf.until((members) => members['ts1']?.status === 'alive');
      await rename(place, `${place}-away`);
      const told = await failureOf(serf.ask('keys', `-install=${fresh}`));
      assert.match(told, /ts1.*keyring .*could not be written: there is no folder/);
      await agent.said('keys     install: keyring');
      await rename(`${place}-away`, place);
      await serf.ask('keys', `-install=${fresh}`);
      assert.equal(await keysIn(keyring), [old, fresh]);
    },
    options,
  );
});

/** All that a command said that failed. */
async function failureOf(asked: Promise<string>): Promise<string> {
  try {
    return `it did not fail: ${await asked}`;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout} ${stderr}`.replaceAll(/\s+/g, ' ');
  }
}
