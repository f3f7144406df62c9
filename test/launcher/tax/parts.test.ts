import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import sharp from 'sharp';

import { identify } from '../../../launcher/process-identity.js';
import { payloadOf } from '../../../launcher/tax/payload.js';
import { makeStateFolder, removeLeftovers } from '../../../launcher/tax/state-folder.js';
import { taxIni } from '../../../launcher/tax/tax-ini.js';
import { WORKLOADS } from '../../../launcher/tax/workloads.js';
import { textValue, toPlain } from '../../../protos/values.js';
import { assert, suite } from '../../suite.js';

suite('payloads', (test) => {
  for (const size of [256, 1024, 1024 ** 2])
    test(`${String(size)} bytes are a picture that can be decoded, the same each time`, async () => {
      const payload = payloadOf(size);
      assert.is(payload.length, size);
      assert.ok(payload.equals(payloadOf(size)));
      const { format, width, height } = await sharp(payload).metadata();
      assert.equal({ format, width, height }, { format: 'png', width: 16, height: 16 });
      await sharp(payload, { failOn: 'error' }).raw().toBuffer();
    });
});

suite('workloads', (test) => {
  test('the linear graph is the same in both arms', () => {
    const { graphFor } = WORKLOADS.linear;
    assert.equal(graphFor(1024, 'star'), graphFor(1024, 'ring'));
    assert.equal(
      graphFor(1024, 'ring').steps.map(({ operation }) => operation),
      ['storage.read', 'math.complement', 'storage.write'],
    );
    assert.equal(
      graphFor(1024, 'ring').edges.map(({ from, to }) => [from, to]),
      [
        ['read', 'complement'],
        ['complement', 'write'],
      ],
    );
  });

  test('the arms of the layered graph differ in that the file server of the star fetches the bytes itself', () => {
    const { graphFor } = WORKLOADS.layered;
    const [star, ring] = [graphFor(1024, 'star'), graphFor(1024, 'ring')];
    const [read] = star.steps;
    const proxy = read?.arguments.find(({ name }) => name === 'proxy');
    assert.is(toPlain(proxy?.value), '1');
    const without = read?.arguments.filter((argument) => argument !== proxy) ?? [];
    assert.equal(
      { ...star, steps: [{ ...read, arguments: without }, ...star.steps.slice(1)] },
      ring,
    );
    assert.equal(without.find(({ name }) => name === 'client')?.value, textValue('tax'));
  });

  test('only the storage of the layered graph lies on a block device', () => {
    const paths = { storagePath: '/s', tokenFile: undefined };
    assert.not.match(taxIni(WORKLOADS.linear, paths), 'backend');
    assert.not.match(taxIni(WORKLOADS.linear, paths), 'Security');
    const layered = taxIni(WORKLOADS.layered, { ...paths, tokenFile: '/t' });
    assert.match(layered, /\[storage_controller\]\n[^[]*backend = block\n/);
    assert.match(layered, /\[Security\]\nmode = token\ntoken_file = \/t\n/);
    assert.match(layered, '[block_controller]');
  });
});

suite('state of a measurement', (test) => {
  test('it is gone after its end', async () => {
    const folder = await makeStateFolder();
    await folder[Symbol.asyncDispose]();
    assert.not.ok((await readdir(path.dirname(folder.path))).includes(path.basename(folder.path)));
  });

  test('the next start removes what a killed one left, and nothing else', async () => {
    const parent = await mkdtemp(path.join(tmpdir(), 'leftovers-'));
    try {
      const own = await identify(process.pid);
      const living = `fractory-tax-${String(process.pid)}-${own!.startTime}-abc`;
      const names = [living, `fractory-tax-${String(process.pid)}-1-abc`, 'fractory-tax-notes'];
      for (const name of names) await mkdir(path.join(parent, name));
      await removeLeftovers(parent);
      assert.equal((await readdir(parent)).sort(), [living, 'fractory-tax-notes'].sort());
    } finally {
      await rm(parent, { recursive: true });
    }
  });
});
