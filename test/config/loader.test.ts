import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { loadConfig } from '../../config/loader.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, rejects, suite } from '../suite.js';
import { IniFolder, STORAGE } from './ini-folder.js';

interface Wrong {
  readonly what: string;
  readonly ini: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly section: string;
  readonly key: string;
  readonly expected: RegExp;
  readonly found: RegExp;
  readonly suggestion?: string;
}

const wrongs: readonly Wrong[] = [
  {
    what: 'an unknown section',
    ini: `[Zookeper]\nservers = 1\n${STORAGE}`,
    ...{ section: 'Zookeper', key: '', suggestion: 'ZooKeeper' },
    ...{ expected: /known section/, found: /unknown section/ },
  },
  {
    what: 'an unknown key',
    ini: `[ZooKeeper]\nsevers = 1\n${STORAGE}`,
    ...{ section: 'ZooKeeper', key: 'severs', suggestion: 'servers' },
    ...{ expected: /enabled, servers/, found: /"1"/ },
  },
  {
    what: 'an unknown key of a device',
    ini: `${STORAGE}max_fils = 3`,
    ...{ section: 'storage_controller', key: 'max_fils', suggestion: 'max_files' },
    ...{ expected: /max_files.*instances/, found: /"3"/ },
  },
  {
    what: 'a bad value of a device',
    ini: `${STORAGE}max_files = many`,
    ...{ section: 'storage_controller', key: 'max_files' },
    ...{ expected: /whole number from 1 to 100/, found: /"many"/ },
  },
  {
    what: 'a key above all sections',
    ini: `name = x\n${STORAGE}`,
    ...{ section: '', key: 'name', expected: /\[Section\]/, found: /"x"/ },
  },
  {
    what: 'an even number of servers',
    ini: `[ZooKeeper]\nservers = 4\n${STORAGE}`,
    ...{ section: 'ZooKeeper', key: 'servers', expected: /odd/, found: /"4"/ },
  },
  {
    what: 'a session timeout of fewer than two ticks',
    ini: `[ZooKeeper]\ntick_ms = 1000\nsession_timeout_ms = 1500\n${STORAGE}`,
    ...{
      section: 'ZooKeeper',
      key: 'session_timeout_ms',
      expected: /2000 to 20000/,
      found: /1500/,
    },
  },
  {
    what: 'an ensemble without a port',
    ini: `[ZooKeeper]\nconnect = 10.0.0.1\n${STORAGE}`,
    ...{ section: 'ZooKeeper', key: 'connect', expected: /host:port/, found: /10\.0\.0\.1/ },
  },
  {
    what: 'an open data center on the network',
    ini: `[DataCenter]\ngrpc_ip = 0.0.0.0\n${STORAGE}`,
    ...{ section: 'Security', key: 'mode', expected: /token or mtls.*0\.0\.0\.0/, found: /open/ },
  },
  {
    what: 'a token file that is not there',
    ini: `[Security]\nmode = token\ntoken_file = nowhere\n${STORAGE}`,
    ...{ section: 'Security', key: 'token_file', expected: /mode is token/, found: /nowhere/ },
  },
  {
    what: 'a word that is none of those allowed',
    ini: `[Security]\nmode = closed\n${STORAGE}`,
    ...{ section: 'Security', key: 'mode', expected: /one of open, token, mtls/, found: /closed/ },
  },
  {
    what: 'an endpoint for traces that is no URL',
    ini: `[Telemetry]\notlp_endpoint = collector:4318\n${STORAGE}`,
    ...{ section: 'Telemetry', key: 'otlp_endpoint', expected: /URL such as/, found: /collector/ },
  },
  {
    what: 'a missing list of controllers',
    ini: '[DataCenter]\nname = x',
    ...{ section: 'Controllers', key: 'controller_names', expected: /one or several/ },
    found: /nothing/,
  },
  {
    what: 'a controller without a section',
    ini: STORAGE.replace('= storage_controller', '= storage_controller, storag_controller'),
    ...{ section: 'Controllers', key: 'controller_names', suggestion: 'storage_controller' },
    ...{ expected: /names of sections/, found: /storag_controller/ },
  },
  {
    what: 'a controller that is not there',
    ini: STORAGE.replace('storage/main.ts', 'storages/main.ts'),
    ...{ section: 'storage_controller', key: 'paths_to_controller' },
    ...{ expected: /main\.ts of a controller/, found: /no dist\/controllers\/storages\/main\.js/ },
  },
  {
    what: 'paths of different device types',
    ini: STORAGE.replace('storage/main.ts', 'storage/main.ts, controllers/math/main.ts'),
    ...{ section: 'storage_controller', key: 'paths_to_controller' },
    ...{ expected: /one device type/, found: /storage and math/ },
  },
  {
    what: 'two sections of one device type',
    ini: `${STORAGE}[other_controller]\npaths_to_controller = controllers/storage/main.ts`,
    ...{ section: 'other_controller', key: 'paths_to_controller' },
    ...{ expected: /one section for each device type/, found: /storage/ },
  },
  {
    what: 'fewer ports than nodes',
    ini: `${STORAGE}instances = 2\nports = 50051`,
    ...{ section: 'storage_controller', key: 'ports', expected: /2 port/, found: /50051/ },
  },
  {
    what: 'the same port twice',
    ini: `${STORAGE}instances = 2\nports = 50051, 50051`,
    ...{ section: 'storage_controller', key: 'ports', expected: /of its own/, found: /50051/ },
  },
  {
    what: 'a bad value in the environment',
    ini: STORAGE,
    environment: { FRACTORY_ZOOKEEPER_SERVERS: 'three' },
    ...{ section: 'ZooKeeper', key: 'servers', expected: /whole number/ },
    found: /"three" in FRACTORY_ZOOKEEPER_SERVERS/,
  },
  {
    what: 'a bad value of a device in the environment',
    ini: STORAGE,
    environment: { FRACTORY_STORAGE_CONTROLLER_MAX_FILES: 'many' },
    ...{ section: 'storage_controller', key: 'max_files', expected: /whole number/ },
    found: /"many" in FRACTORY_STORAGE_CONTROLLER_MAX_FILES/,
  },
  {
    what: 'a variable that no key has',
    ini: STORAGE,
    environment: { FRACTORY_ZOOKEEPER_SERVRS: '3' },
    ...{ section: 'ZooKeeper', key: 'FRACTORY_ZOOKEEPER_SERVRS' },
    ...{ expected: /FRACTORY_SECTION_KEY/, found: /"3"/ },
    suggestion: 'FRACTORY_ZOOKEEPER_SERVERS',
  },
  {
    what: 'a variable of a section that is misspelt',
    ini: STORAGE,
    environment: { FRACTORY_ZOOKEPER_SERVERS: '1' },
    ...{ section: '', key: 'FRACTORY_ZOOKEPER_SERVERS' },
    ...{ expected: /FRACTORY_SECTION_KEY/, found: /"1"/ },
    suggestion: 'FRACTORY_ZOOKEEPER_SERVERS',
  },
  {
    what: 'a header without its closing bracket',
    ini: `[ZooKeeper\nservers = 1\n${STORAGE}`,
    ...{ section: '', key: 'line 1', expected: /\[ZooKeeper\]/, found: /"\[ZooKeeper"/ },
  },
  {
    what: 'a header with text behind it',
    ini: `[ZooKeeper] servers = 1\n${STORAGE}`,
    ...{ section: '', key: 'line 1', expected: /\[ZooKeeper\]/, found: /servers = 1/ },
  },
];

suite('configuration', (test) => {
  for (const wrong of wrongs)
    test(`${wrong.what} is a problem that names its place`, async () => {
      await using folder = await IniFolder.create(wrong.ini);
      const problems = await folder.problems(wrong.environment);
      assert.is(problems.length, 1, JSON.stringify(problems));
      const [problem] = problems;
      assert.is(problem?.section, wrong.section);
      assert.is(problem?.key, wrong.key);
      assert.match(problem?.expected ?? '', wrong.expected);
      assert.match(problem?.found ?? '', wrong.found);
      assert.is(problem?.suggestion, wrong.suggestion);
    });

  test('all problems are reported at once, in one text', async () => {
    await using folder = await IniFolder.create(
      `[DataCenter]\nnam = x\ngrpc_ip = 10.0.0.1\n[ZooKeeper]\nservers = 2\ntick_ms = soon\n[Foo]\na = 1\n${STORAGE}instances = -1`,
    );
    const places = (await folder.problems()).map(({ section, key }) => `${section} ${key}`.trim());
    assert.equal(places.sort(), [
      'DataCenter nam',
      'Foo',
      'Security mode',
      'ZooKeeper servers',
      'ZooKeeper tick_ms',
      'storage_controller instances',
    ]);
    const error = await rejects(folder.load(), FractoryError, { reason: 'BAD_CONFIG' });
    assert.match(error.message, /has 6 problems:\n/);
    assert.match(
      error.message,
      /\[DataCenter\] nam: unknown key \(did you mean name\?\); the keys here are name, grpc_ip, storage_path/,
    );
  });

  test('a file is not blamed for what stands in the environment alone', async () => {
    await using folder = await IniFolder.create(STORAGE);
    const environment = { FRACTORY_ZOOKEEPER_SERVERS: '2', FRACTORY_ZOOKEPER_TICK_MS: '5' };
    const { message } = await rejects(folder.load(environment), FractoryError);
    assert.match(message, /^the configuration in the environment has 2 problems:\n/);
    const file = await IniFolder.create(`${STORAGE}instances = -1`);
    const both = await rejects(file.load(environment), FractoryError);
    assert.match(both.message, /data_center\.ini has 3 problems:\n/);
    await file[Symbol.asyncDispose]();
  });

  test('a name of a controller is explained also where the file has none', async () => {
    await using folder = await IniFolder.create('[Controllers]\ncontroller_names = a\n');
    const { message } = await rejects(folder.load(), FractoryError);
    assert.match(message, /expected a section \[a\] in the file, which has none of a controller/);
  });

  test('a header that is not whole hides no other problem', async () => {
    await using folder = await IniFolder.create(`${STORAGE}[ZooKeeper\nservers = 2\ntick_sm = 5`);
    const { message } = await rejects(folder.load(), FractoryError, { reason: 'BAD_CONFIG' });
    assert.match(message, /has 3 problems:\n {2}line 6: section header without \]: \[ZooKeeper\n/);
    assert.match(message, /\[ZooKeeper\] servers: expected an odd number/);
    assert.match(message, /\[ZooKeeper\] tick_sm: unknown key \(did you mean tick_ms\?\)/);
  });

  test('a comment may stand behind a header', async () => {
    await using folder = await IniFolder.create(`[ZooKeeper] ; one\nservers = 1\n${STORAGE}`);
    assert.is((await folder.load()).zookeeper.servers, 1);
  });

  test('a mode of security without its token says how to make one', async () => {
    const make = 'make one: head -c 24 /dev/urandom | base64 > .fractory/token';
    await using without = await IniFolder.create(`[Security]\nmode = token\n${STORAGE}`);
    assert.is((await without.problems())[0]?.remedy, `uncomment token_file and ${make}`);
    await using missing = await IniFolder.create(
      `[Security]\nmode = token\ntoken_file = .fractory/token\n${STORAGE}`,
    );
    assert.is((await missing.problems())[0]?.remedy, make);
  });

  test('variables that are not for keys are left alone', async () => {
    await using folder = await IniFolder.create(STORAGE);
    await folder.load({ FRACTORY_SECRET: 'x', FRACTORY_SUPERVISED: '1', FRACTORYX: 'y' });
  });

  test('a file that is missing is not found', async () => {
    const error = await rejects(loadConfig({ file: '/nowhere/at-all.ini' }), FractoryError, {
      reason: 'CONFIG_NOT_FOUND',
    });
    assert.match(error.message, /\/nowhere\/at-all\.ini/);
  });

  test('environment wins over file and file over default, and each value says where it came from', async () => {
    await using folder = await IniFolder.create(
      `[ZooKeeper]\nservers = 5\ntick_ms = 400\n${STORAGE}`,
    );
    const config = await folder.load({
      FRACTORY_ZOOKEEPER_SERVERS: '1',
      FRACTORY_STORAGE_CONTROLLER_MAX_FILES: '7',
    });
    assert.is(config.zookeeper.servers, 1);
    assert.is(config.zookeeper.tickMs, 400);
    assert.is(config.zookeeper.sessionTimeoutMs, 4000);
    assert.equal(config.controllers[0]?.settings, { max_files: 7 });
    const origin = (key: string): string | undefined =>
      config.values.find((value) => value.key === key)?.origin;
    assert.is(origin('servers'), 'environment');
    assert.is(origin('tick_ms'), 'file');
    assert.is(origin('session_timeout_ms'), 'default');
    assert.is(origin('max_files'), 'environment');
  });

  test('several paths are several instances, each as often as `instances` says, with ports in order', async () => {
    await using folder = await IniFolder.create(
      `${STORAGE.replace('storage/main.ts', 'storage/main.ts, controllers/storage/main.ts')}instances = 2\nports = 1, 2, 3, 0`,
    );
    const [controller] = (await folder.load()).controllers;
    assert.is(controller?.type, 'storage');
    assert.equal(
      controller?.nodes.map(({ name, port }) => `${name} ${String(port)}`),
      ['storage-1 1', 'storage-2 2', 'storage-3 3', 'storage-4 0'],
    );
  });

  test('a section that is not listed is described but not listed', async () => {
    await using folder = await IniFolder.create(
      `${STORAGE}[math_controller]\npaths_to_controller = controllers/math/main.ts`,
    );
    const { controllers } = await folder.load();
    assert.equal(
      controllers.map(({ type, listed }) => [type, listed]),
      [
        ['storage', true],
        ['math', false],
      ],
    );
  });

  test('zookeeper = false in a section that is started chooses the embedded twin', async () => {
    await using folder = await IniFolder.create(`${STORAGE}zookeeper = false`);
    const { zookeeper } = await folder.load();
    assert.is(zookeeper.enabled, false);
    assert.is(zookeeper.disabledBy, '[storage_controller] zookeeper = false');
  });

  test('a token comes from its file', async () => {
    await using folder = await IniFolder.create(
      `[DataCenter]\ngrpc_ip = 10.0.0.1\n[Security]\nmode = token\ntoken_file = token\n${STORAGE}`,
    );
    await writeFile(path.join(folder.root, 'token'), 'a-token-that-is-long-enough\n');
    const { security } = await folder.load();
    assert.equal(security, { mode: 'token', token: 'a-token-that-is-long-enough' });
  });

  test('paths below .fractory follow the state folder', async () => {
    await using folder = await IniFolder.create(STORAGE);
    const there = await folder.load({ FRACTORY_STATE: '/elsewhere/state' });
    assert.is(there.storagePath, '/elsewhere/state/storage');
    const here = await folder.load();
    assert.is(here.storagePath, path.join(folder.root, '.fractory/storage'));
  });

  test('what the settings of a device need is read from the module that they stand in', async () => {
    const needs = async (backend: string): Promise<unknown> => {
      const environment = { FRACTORY_STORAGE_CONTROLLER_BACKEND: backend };
      const { controllers } = await loadConfig({ environment });
      return controllers.find(({ type }) => type === 'storage')?.needs;
    };
    assert.equal(await needs('files'), []);
    assert.equal(await needs('block'), [
      { type: 'block', member: 'block-1', setting: 'backend = block' },
    ]);
  });

  test('the ini file of the project is sound', async () => {
    const config = await loadConfig({ environment: {} });
    assert.equal(
      config.controllers.flatMap(({ listed, nodes }) =>
        (listed ? nodes : []).map(({ name }) => name),
      ),
      ['cnn-1', 'math-1', 'application-1', 'storage-1', 'storage-2'],
    );
    assert.ok(config.controllers.some(({ type, listed }) => type === 'block' && !listed));
  });
});
