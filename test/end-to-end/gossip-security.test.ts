import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { credentials, Metadata } from '@grpc/grpc-js';

import { assert, suite } from '../suite.js';
import { Authority } from './authority.js';
import { freeze } from './frozen-member.js';
import type { Shown } from './frozen-member.js';
import { gossipOf, gossipStatusWhen } from './gossip-status.js';
import { LiveDataCenter } from './live-data-center.js';

const timeoutMs = 90_000;
const noAuthority = await Authority.whyNot();
const TOKEN = 'correct-horse-battery-staple';
/** Neither the session nor a broken link tells of a frozen member in so short a time. */
const SETTINGS = {
  FRACTORY_GOSSIP_ENABLED: 'true',
  FRACTORY_CONTROLLERS_CONTROLLER_NAMES: 'math_controller, application_controller',
  FRACTORY_MATH_CONTROLLER_INSTANCES: '2',
  FRACTORY_ZOOKEEPER_SESSION_TIMEOUT_MS: '20000',
  FRACTORY_ZOOKEEPER_TICK_MS: '1000',
};
const TIMES = { forMs: 6000, everyMs: 150, afterMs: 2000 };
/** As in `gossip-detection.test.ts`. */
const [SLOW_MS, DETECTED_MS] = [700, 2500];

/** Members see each other; one that is frozen gets no work, and `status` shows what gossip and the coordinator say of it. */
async function findsTheFrozen(
  dataCenter: LiveDataCenter,
  shown: Shown,
  signal: AbortSignal,
): Promise<void> {
  const serving = await gossipStatusWhen(
    dataCenter,
    ({ members }) => members.every(({ gossip }) => gossip === 'alive'),
    signal,
  );
  assert.is(serving.gossip.answered, 3);
  assert.equal(serving.gossip.differences, []);
  const [{ during, after }, seen] = await Promise.all([
    freeze(dataCenter, 'math-2', TIMES, shown),
    gossipStatusWhen(dataCenter, (status) => gossipOf(status, 'math-2') === 'dead', signal),
  ]);
  assert.is(seen.members.find(({ id }) => id === 'math-2')?.state, 'UNREACHABLE');
  assert.match(seen.gossip.differences.join('\n'), /^gossip holds math-2 dead for/);
  assert.ok([...during, ...after].every(({ succeeded }) => succeeded));
  const late = during.filter(({ tookMs, begunMs }) => tookMs > SLOW_MS && begunMs > DETECTED_MS);
  assert.equal(late, []);
  assert.ok(after.some(({ member }) => member === 'math-2'));
}

suite('gossip of a data center behind locks', (test) => {
  test(
    'mode token: members find each other and who is frozen; the key of gossip is none of the token',
    async ({ signal }) => {
      await using dataCenter = await LiveDataCenter.create({
        ...SETTINGS,
        FRACTORY_SECURITY_MODE: 'token',
        FRACTORY_SECURITY_TOKEN_FILE: '.fractory/token',
      });
      await mkdir(dataCenter.statePath, { recursive: true });
      await writeFile(path.join(dataCenter.statePath, 'token'), `${TOKEN}\n`);
      await dataCenter.ok('up', '--detach', '--no-zookeeper');
      const metadata = new Metadata();
      metadata.set('authorization', `Bearer ${TOKEN}`);
      await findsTheFrozen(
        dataCenter,
        { credentials: credentials.createInsecure(), metadata },
        signal,
      );
      const key = await readFile(path.join(dataCenter.statePath, 'gossip-key'), 'utf8');
      const { stdout } = await dataCenter.ok('config', 'show');
      assert.not.ok(stdout.includes(key.trim()));
    },
    { timeoutMs },
  );

  for (const host of ['127.0.0.1', 'localhost'])
    test(
      `mode mtls at ${host}: members find each other and who is frozen`,
      async ({ signal }) => {
        await using authority = await Authority.create();
        const node = await authority.issue('node');
        await using dataCenter = await LiveDataCenter.create({
          ...SETTINGS,
          FRACTORY_DATACENTER_GRPC_IP: host,
          FRACTORY_SECURITY_MODE: 'mtls',
          FRACTORY_SECURITY_CA_PATH: authority.certificate,
          FRACTORY_SECURITY_CERTIFICATE_PATH: node.certificate,
          FRACTORY_SECURITY_KEY_PATH: node.key,
        });
        await dataCenter.ok('up', '--detach', '--no-zookeeper');
        const files = [authority.certificate, node.key, node.certificate];
        const [ca, key, certificate] = await Promise.all(files.map((file) => readFile(file)));
        const shown = credentials.createSsl(ca, key, certificate);
        await findsTheFrozen(dataCenter, { credentials: shown, metadata: new Metadata() }, signal);
      },
      { timeoutMs, skip: noAuthority },
    );
});
