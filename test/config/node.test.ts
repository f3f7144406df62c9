import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { readNodeConfig } from '../../config/node.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, rejects, suite } from '../suite.js';
import { deviceSettings, IniFolder } from './ini-folder.js';

const SECRET = 'ab'.repeat(32);

/** Mains in a folder of ours can't be found from the installed product: absolute paths can. */
async function create(): Promise<IniFolder> {
  const folder = await IniFolder.create('');
  const main = path.join(folder.root, 'dist/controllers/storage/main.js');
  await writeFile(
    folder.file,
    `[Controllers]\ncontroller_names = storage_controller\n[storage_controller]\npaths_to_controller = ${main}\nrouting = leader\nmax_files = 3`,
  );
  return folder;
}

const factsFor = (folder: IniFolder, added: NodeJS.ProcessEnv = {}) => ({
  argv: ['--config', folder.file, '--name', 'storage-1', '--type', 'storage'],
  environment: {
    FRACTORY_STATE: path.join(folder.root, 'state'),
    FRACTORY_COORDINATOR: 'zookeeper://127.0.0.1:2181,127.0.0.1:2182',
    FRACTORY_SUPERVISED: '1',
    ...added,
  },
});

suite('configuration of a node', (test) => {
  test('joins the ini file with what the launcher says', async () => {
    await using folder = await create();
    await mkdir(path.join(folder.root, 'state'));
    await writeFile(path.join(folder.root, 'state/secret'), `${SECRET}\n`);
    const config = await readNodeConfig(deviceSettings, factsFor(folder));
    assert.equal(config.node, {
      ...{
        name: 'storage-1',
        type: 'storage',
        routing: 'leader',
        verbose: false,
        port: 0,
        preferredPort: 0,
      },
    });
    assert.equal(config.coordinator, {
      ...{ kind: 'zookeeper', connect: '127.0.0.1:2181,127.0.0.1:2182', sessionTimeoutMs: 4000 },
    });
    assert.is(config.secret, SECRET);
    assert.is(config.supervised, true);
    assert.is(config.settings.max_files, 3);
    assert.is(config.telemetry.otlpEndpoint, undefined);
  });

  test('FRACTORY_SECRET stands for the file on a second machine', async () => {
    await using folder = await create();
    const facts = factsFor(folder, { FRACTORY_SECRET: 'from-elsewhere' });
    assert.is((await readNodeConfig(deviceSettings, facts)).secret, 'from-elsewhere');
  });

  test('the endpoint for traces reaches the node', async () => {
    await using folder = await create();
    const facts = factsFor(folder, {
      FRACTORY_SECRET: SECRET,
      FRACTORY_TELEMETRY_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
    });
    const { telemetry } = await readNodeConfig(deviceSettings, facts);
    assert.equal(telemetry, { otlpEndpoint: 'http://127.0.0.1:4318' });
  });

  const failures: readonly (readonly [what: string, reason: string, added: NodeJS.ProcessEnv])[] = [
    ['no secret', 'NO_SECRET', {}],
    ['no coordinator', 'NO_COORDINATOR', { FRACTORY_COORDINATOR: undefined }],
    ['a coordinator of no known kind', 'INVALID_ARGUMENT', { FRACTORY_COORDINATOR: 'etcd://a:1' }],
  ];
  for (const [what, reason, added] of failures)
    test(`${what} is a clear error`, async () => {
      await using folder = await create();
      await rejects(readNodeConfig(deviceSettings, factsFor(folder, added)), FractoryError, {
        reason,
      });
    });

  test('a type that no section describes is not found', async () => {
    await using folder = await create();
    const { environment } = factsFor(folder);
    const argv = ['--config', folder.file, '--name', 'x-1', '--type', 'x'];
    const error = await rejects(
      readNodeConfig(deviceSettings, { argv, environment }),
      FractoryError,
      {
        reason: 'UNKNOWN_TYPE',
      },
    );
    assert.match(error.message, /it has storage/);
  });
});
