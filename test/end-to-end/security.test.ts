import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { assert, suite } from '../suite.js';
import { Authority } from './authority.js';
import { ForeignClient } from './foreign-client.js';
import { LiveDataCenter } from './live-data-center.js';
import { openMethods } from './open-methods.js';

const timeoutMs = 60_000;
const noAuthority = await Authority.whyNot();
const TOKEN = 'correct-horse-battery-staple';

suite('a data center behind locks', (test) => {
  test(
    'mode token: callers without the token are refused everywhere, the applications have it',
    async ({ signal }) => {
      await using dataCenter = await LiveDataCenter.create({
        FRACTORY_SECURITY_MODE: 'token',
        FRACTORY_SECURITY_TOKEN_FILE: '.fractory/token',
      });
      await mkdir(dataCenter.statePath, { recursive: true });
      await writeFile(path.join(dataCenter.statePath, 'token'), `${TOKEN}\n`);
      const { stderr } = await dataCenter.ok('up', '--detach', '--no-zookeeper');
      assert.match(stderr, /authorization: Bearer/);
      const pids = await dataCenter.pids();
      const { members } = await dataCenter.status();
      assert.equal(
        members.map(({ state }) => state),
        members.map(() => 'SERVING'),
      );

      const none = new ForeignClient((await dataCenter.leader('math')).address);
      const { address } = await dataCenter.leader('math');
      const wrong = new ForeignClient(address, { headers: ['authorization: Bearer no'] });
      const right = new ForeignClient(address, { headers: [`authorization: Bearer ${TOKEN}`] });
      const calls = [
        ['MathService/Factorial', { n: '5' }],
        ['ControllerService/Connect', {}],
        ['ControllerService/Describe', {}],
        ['ControllerService/Invoke', {}],
      ] as const;
      for (const [method, request] of calls) {
        const missing = await none.failure(method, request);
        assert.equal([missing.code, missing.reason], ['unauthenticated', 'TOKEN_MISSING'], method);
        const bad = await wrong.failure(method, request);
        assert.equal([bad.code, bad.reason], ['unauthenticated', 'TOKEN_WRONG'], method);
      }
      assert.equal(await right.call('MathService/Factorial', { n: '5' }), { result: '120' });
      for (const member of members) {
        assert.equal(await openMethods(member.address), [], member.id);
        assert.equal(await openMethods(member.address, 'Bearer no'), [], member.id);
      }
      const answer = await dataCenter.json<{ factorial: string }>('run', 'template', '--n', '6');
      assert.is(answer.factorial, '720');

      await dataCenter.ok('down');
      await dataCenter.nothingLeft(pids, signal);
    },
    { timeoutMs },
  );

  test(
    'mode mtls: only who shows a certificate of the own authority is served',
    async ({ signal }) => {
      await using authority = await Authority.create();
      const node = await authority.issue('node');
      const caller = await authority.issue('caller');
      await using others = await Authority.create();
      const stranger = await others.issue('stranger');
      const expired = await authority.issue('expired', -1);
      await using dataCenter = await LiveDataCenter.create({
        FRACTORY_SECURITY_MODE: 'mtls',
        FRACTORY_SECURITY_CA_PATH: authority.certificate,
        FRACTORY_SECURITY_CERTIFICATE_PATH: node.certificate,
        FRACTORY_SECURITY_KEY_PATH: node.key,
      });
      await dataCenter.ok('up', '--detach', '--no-zookeeper');
      const pids = await dataCenter.pids();
      const { address } = await dataCenter.leader('math');
      const ca = ['--cacert', authority.certificate];
      const showing = ({ certificate, key }: typeof caller, trusted = ca): ForeignClient =>
        new ForeignClient(address, { tls: [...trusted, '--cert', certificate, '--key', key] });

      const factorial = ['MathService/Factorial', { n: '5' }] as const;
      assert.equal(await showing(caller).call(...factorial), { result: '120' });
      const answer = await dataCenter.json<{ factorial: string }>('run', 'template', '--n', '6');
      assert.is(answer.factorial, '720');
      const refused = {
        'no TLS': new ForeignClient(address),
        'no certificate': new ForeignClient(address, { tls: ca }),
        'a certificate of another authority': showing(stranger),
        'a certificate that has expired': showing(expired),
        'a server of another authority': showing(caller, ['--cacert', others.certificate]),
      };
      for (const [how, client] of Object.entries(refused)) {
        const error = await client.failure(...factorial);
        assert.ok(error.message !== '', how);
      }

      await dataCenter.ok('down');
      await dataCenter.nothingLeft(pids, signal);
    },
    { timeoutMs, skip: noAuthority },
  );
});

suite('a configuration that is wrong', (test) => {
  test(
    'stops up with all problems at once, and nothing is started',
    async () => {
      await using dataCenter = await LiveDataCenter.create();
      const file = path.join(dataCenter.folder, 'wrong.ini');
      const lines = [
        ...['[DataCenter]', 'name = fractory', 'grpc_ip = 0.0.0.0', 'colour = blue'],
        ...['[ZooKeeper]', 'servers = 2', 'tick_ms = soon'],
        ...['[Limits]', 'max_step = 3'],
        ...['[Controllers]', 'controller_names = math_controller, lost_controller'],
        ...[
          '[math_controller]',
          'paths_to_controller = controllers/math/main.ts',
          'workers = none',
        ],
        ...['[storage_controller]', 'paths_to_controller = controllers/nowhere/main.ts'],
      ];
      await writeFile(file, lines.join('\n'));
      for (const command of [['up'], ['up', '--detach'], ['config', 'show']]) {
        const { code, stdout, stderr } = await dataCenter.run(...command, '--config', file);
        assert.is(code, 2, stderr);
        assert.is(stdout, '');
        const problems = [
          ...[/colour/, /servers.*2/, /tick_ms.*soon/, /max_step\b.*max_steps/, /workers.*none/],
          ...[/lost_controller/, /controllers\/nowhere/, /mode.*(token or mtls).*0\.0\.0\.0/],
        ];
        for (const problem of problems) assert.match(stderr.replaceAll('\n', ' '), problem);
      }
      assert.equal(await dataCenter.processes(), []);
    },
    { timeoutMs },
  );

  test(
    'an unknown command or option is a usage error, with what was meant',
    async () => {
      await using dataCenter = await LiveDataCenter.create();
      for (const [args, meant] of [
        [['staus'], /status/],
        [['up', '--detatch'], /--detach/],
        [['status', '--jsno'], /--json/],
      ] as const) {
        const { code, stderr } = await dataCenter.run(...args);
        assert.is(code, 2, stderr);
        assert.match(stderr, meant);
      }
    },
    { timeoutMs },
  );
});
