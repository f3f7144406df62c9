import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { KeyringFile } from '../../../gossip/serf/keyring-file.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { FractoryError } from '../../../runtime/errors.js';
import { temporaryFolder } from '../../services/storage/fixture.js';
import { assert, rejects, suite } from '../../suite.js';

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('base64');
const textsOf = ({ keys }: Keyring): string[] => keys.map(textOf);

suite('a file of keys', (test) => {
  test('has every change before it counts, as Serf writes it, for its owner alone', async () => {
    await using folder = await temporaryFolder();
    const file = new KeyringFile(path.join(folder.path, 'keyring.json'));
    assert.is(await file.read(), undefined);
    const [old, fresh] = [randomBytes(16), randomBytes(32)];
    const keyring = new Keyring([old], file.keep);
    await keyring.keep();
    await Promise.all([keyring.add(fresh), keyring.use(fresh)]);
    assert.equal(await file.read(), [fresh, old]);
    const text = await readFile(file.path, 'utf8');
    assert.is(text, `[\n  "${textOf(fresh)}",\n  "${textOf(old)}"\n]`);
    assert.is((await stat(file.path)).mode & 0o777, 0o600);
    await keyring.remove(old);
    assert.equal(await file.read(), [fresh]);
    assert.equal(await readdir(folder.path), ['keyring.json']);
  });

  test('that can not be written changes nothing, and the next change is tried again', async () => {
    await using folder = await temporaryFolder();
    const place = path.join(folder.path, 'keys');
    await mkdir(place);
    const file = new KeyringFile(path.join(place, 'keyring.json'));
    const [old, fresh] = [randomBytes(16), randomBytes(16)];
    const keyring = new Keyring([old], file.keep);
    await keyring.keep();
    await rename(place, `${place}-away`);
    const error = await rejects(keyring.add(fresh), FractoryError);
    assert.is(error.reason, 'KEYRING_NOT_WRITTEN');
    assert.match(error.message, /keyring\.json could not be written: there is no folder/);
    assert.equal(textsOf(keyring), [textOf(old)]);
    await rename(`${place}-away`, place);
    await keyring.add(fresh);
    assert.equal(await file.read(), [old, fresh]);
  });

  test('that several have loses no key that another one was told', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'keyring.json');
    const [old, fresh, later] = [randomBytes(16), randomBytes(16), randomBytes(16)];
    const one = new Keyring([old], new KeyringFile(file).keep);
    const two = new Keyring([old], new KeyringFile(file).keep);
    await one.add(fresh);
    await two.add(later);
    assert.equal(await new KeyringFile(file).read(), [old, later, fresh]);
    await one.use(fresh);
    await one.remove(old);
    assert.equal(await new KeyringFile(file).read(), [fresh, later]);
  });

  test('that is a link stays one', async () => {
    await using folder = await temporaryFolder();
    const target = path.join(folder.path, 'target.json');
    await writeFile(target, JSON.stringify([textOf(randomBytes(16))]), { mode: 0o644 });
    const link = path.join(folder.path, 'keyring.json');
    await symlink(target, link);
    const key = randomBytes(16);
    await new Keyring([key], new KeyringFile(link).keep).keep();
    assert.equal((await new KeyringFile(target).read())?.[0], key);
    assert.is((await stat(target)).mode & 0o777, 0o600);
  });

  test('that is none is refused, and what is in it is not told', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'keyring.json');
    const good = textOf(randomBytes(32));
    const wrong: [string, RegExp][] = [
      ['', /is no JSON array of keys/],
      [good, /is no JSON array of keys/],
      [`{"keys": ["${good}"]}`, /is no JSON array of keys/],
      ['[]', /has no keys/],
      [`["${good}", 7]`, /key 2 of 2 is no base64/],
      [`["${good.replace('=', '')}"]`, /key 1 of 1 is no base64/],
      [JSON.stringify([good, textOf(randomBytes(20))]), /key 2 of 2 has 20 bytes, expected 16/],
      ['x'.repeat(300_000), /has 300000 bytes, at most 262144/],
    ];
    for (const [text, expected] of wrong) {
      await writeFile(file, text);
      const error = await rejects(new KeyringFile(file).read(), FractoryError);
      assert.is(error.reason, 'BAD_KEYRING');
      assert.match(error.message, expected);
      assert.not.ok(error.message.includes(good.slice(0, 8)));
    }
    await rm(file);
    await mkdir(file);
    const error = await rejects(new KeyringFile(file).read(), FractoryError);
    assert.match(error.message, /keyring\.json: is no file/);
  });
});
