import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import sharp from 'sharp';

import { identify } from '../../../launcher/process-identity.js';
import {
  latencyCommand,
  nodeCommands,
  rateCommand,
  switchCommands,
} from '../../../launcher/tax/network/network-commands.js';
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

suite('commands of the private network', (test) => {
  test('a node gets a namespace, a link to the bridge and an address of its own', () => {
    const lines = nodeCommands({ namespace: 'n', number: 2 }, 's').map((line) => line.join(' '));
    assert.equal(lines, [
      'ip netns add n',
      'ip -n n link set lo up',
      'ip -n n link add eth0 type veth peer name port2 netns s',
      'ip -n n address add 10.231.0.12/24 dev eth0',
      'ip -n n link set eth0 up',
      'ip -n s link set port2 master bridge0 up',
    ]);
    assert.ok(switchCommands('s').some((line) => line.join(' ') === 'ip netns add s'));
  });

  test('the rate stands alone or behind the delay; fast links have more credit', () => {
    const gigabit = rateCommand('n', { bitsPerSecond: 1e9 }, false).join(' ');
    assert.is(
      gigabit,
      'tc -n n qdisc add dev eth0 root tbf rate 1000000000bit burst 32768 latency 100ms',
    );
    assert.match(
      rateCommand('n', { bitsPerSecond: 10e9 }, true).join(' '),
      / parent 1:1 handle 10: tbf rate 10000000000bit burst 125000 /,
    );
    assert.is(
      latencyCommand('n', 100).join(' '),
      'tc -n n qdisc add dev eth0 root handle 1: netem delay 100us limit 100000',
    );
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
