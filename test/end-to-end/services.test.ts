import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { MemberStatus } from '../../launcher/member-status.js';
import { assert, suite } from '../suite.js';
import { capabilityClaims } from './capability-claims.js';
import { cnnClaims, corruptModel } from './cnn-claims.js';
import { ForeignClient } from './foreign-client.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';
import type { Status } from './live-data-center.js';
import { mathClaims } from './math-claims.js';
import { openInferenceClaims } from './open-inference-claims.js';
import { runClaims } from './run-claims.js';
import { storageClaims } from './storage-claims.js';
import type { Wire } from './wire.js';

const timeoutMs = 60_000;
const shared = new Shared(start);

/** One ZooKeeper server; a small limit for files; a model that is none. */
async function start(): Promise<LiveDataCenter> {
  const dataCenter = await LiveDataCenter.create({
    FRACTORY_ZOOKEEPER_SERVERS: '1',
    FRACTORY_STORAGE_CONTROLLER_MAX_FILE_BYTES: '1 MiB',
  });
  await mkdir(path.join(dataCenter.statePath, 'models'), { recursive: true });
  for (const [name, content] of Object.entries(corruptModel)) {
    const file = path.join(dataCenter.statePath, 'models', name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  await dataCenter.ok('up', '--detach');
  return dataCenter;
}

let known: Promise<Status> | undefined;

/** Nobody joins or leaves in this file, so one look is enough. */
async function members(): Promise<readonly MemberStatus[]> {
  const dataCenter = await shared.get();
  known ??= dataCenter.status();
  return (await known).members;
}

const wire: Wire = {
  members,
  async member(type) {
    const found = (await members()).find((one) => one.type === type && one.leader);
    assert.ok(found, type);
    return found;
  },
  async at(type) {
    return new ForeignClient((await wire.member(type)).address);
  },
  async follower() {
    const found = (await members()).find(({ type, leader }) => type === 'storage' && !leader);
    assert.ok(found);
    return new ForeignClient(found.address);
  },
  async statePath() {
    return (await shared.get()).statePath;
  },
};

suite('a foreign client', (test) => {
  test(
    'learns by reflection what each node offers, and how it is by its health service',
    async () => {
      const typed: Record<string, string> = {
        application: 'ApplicationService',
        cnn: 'CnnService',
        math: 'MathService',
        storage: 'StorageService',
      };
      for (const { address, type } of await members()) {
        const client = new ForeignClient(address);
        assert.equal(await client.services(), [
          ...['ControllerService', typed[type] ?? ''].sort().map((name) => `fractory.v1.${name}`),
          'grpc.health.v1.Health',
          ...(type === 'cnn' ? ['inference.GRPCInferenceService'] : []),
        ]);
        assert.equal(await client.call('grpc.health.v1.Health/Check', {}), { status: 'SERVING' });
      }
    },
    { timeoutMs },
  );

  test(
    'may be an older one, which knows only reflection v1alpha',
    async () => {
      const { address } = await wire.member('math');
      const client = new ForeignClient(address, { flags: ['--reflect-protocol', 'grpc-v1alpha'] });
      assert.equal(await client.call('MathService/Factorial', { n: '4' }), { result: '24' });
    },
    { timeoutMs },
  );

  test(
    'finds every method of every service',
    async () => {
      const methods = await Promise.all(
        ['application', 'cnn', 'math', 'storage'].map(async (type) =>
          (await wire.at(type)).methods(),
        ),
      );
      const found = [...new Set(methods.flat())]
        .filter((method) => method.startsWith('fractory.v1.'))
        .map((method) => method.replace(/^fractory\.v1\./, ''));
      const expected = {
        ApplicationService: ['Cancel', 'Get', 'List', 'ListMembers', 'ListOperations', 'Run'],
        CnnService: ['ListModels', 'Predict'],
        ControllerService: ['Connect', 'Describe', 'Invoke'],
        MathService: ['Binomial', 'Cosine', 'Evaluate', 'Expand', 'Factorial', 'ShiftLeft'],
        StorageService: ['Delete', 'Get', 'List', 'Put', 'Stat'],
      };
      for (const [service, names] of Object.entries(expected))
        for (const name of names) assert.ok(found.includes(`${service}/${name}`), name);
    },
    { timeoutMs },
  );

  for (const claims of [
    ...[storageClaims, mathClaims, cnnClaims, openInferenceClaims],
    ...[runClaims, capabilityClaims],
  ])
    claims(test, wire);

  test(
    'has brought no node down: all are in their first life and serve',
    async () => {
      const dataCenter = await shared.get();
      assert.equal((await dataCenter.status()).members, await members());
      const { stdout } = await dataCenter.ok('logs', 'launcher', '-n', '1000');
      assert.not.match(stdout, / died /);
    },
    { timeoutMs },
  );

  leavesNothing(test, shared, { timeoutMs });
});
