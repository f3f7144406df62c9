import { spawn } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { assert, suite } from '../suite.js';

const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

/** Stands for build.mjs: writes a launcher that says how it was called. */
const BUILD = `
import { mkdirSync, writeFileSync } from 'node:fs';
const folder = new URL('dist/launcher/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('main.js', folder), 'console.log("launched", process.argv.slice(2).join(" "))');
writeFileSync(new URL('dist/.built', import.meta.url), '');
console.error('building (node build.mjs)');
`;

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A project of nothing but the script, with packages that are there already. */
class ScriptFolder implements AsyncDisposable {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async create(): Promise<ScriptFolder> {
    const folder = new ScriptFolder(await mkdtemp(path.join(tmpdir(), 'fractory-script-')));
    await copyFile(path.join(projectRoot, 'datacenter'), folder.at('datacenter'));
    await chmod(folder.at('datacenter'), 0o755);
    await folder.write('build.mjs', BUILD);
    await folder.write('package.json', '{"type": "module"}');
    await folder.write('package-lock.json', '{"packages": {}}');
    await folder.write('node_modules/.package-lock.json', '{"packages": {}}');
    return folder;
  }

  at(name: string): string {
    return path.join(this.root, name);
  }

  async write(name: string, content: string): Promise<void> {
    await mkdir(path.dirname(this.at(name)), { recursive: true });
    await writeFile(this.at(name), content);
  }

  run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Result> {
    return execute('bash', [this.at('datacenter'), ...args], environment);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}

function execute(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: tmpdir(),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

suite('launcher script', (test) => {
  test('builds what is missing, then hands over; the second time it does nothing', async () => {
    await using folder = await ScriptFolder.create();
    const first = await folder.run(['run', 'a b', '--json']);
    assert.is(first.code, 0, first.stderr);
    assert.is(first.stdout, 'launched run a b --json\n');
    assert.match(first.stderr, /^building /);
    const second = await folder.run(['status']);
    assert.equal(second, { code: 0, stdout: 'launched status\n', stderr: '' });
  });

  test('builds again when a source is newer', async () => {
    await using folder = await ScriptFolder.create();
    await folder.run(['status']);
    await folder.write('applications/new.ts', '');
    const later = new Date(Date.now() + 10_000);
    await utimes(folder.at('applications/new.ts'), later, later);
    assert.match((await folder.run(['run', 'new'])).stderr, /^building /);
  });

  test('asks the build whether a changed folder means anything, and says nothing itself', async () => {
    await using folder = await ScriptFolder.create();
    await folder.run(['status']);
    await folder.write('build.mjs', 'process.exit(0);');
    await folder.write('config/data_center.ini', '');
    const { code, stderr } = await folder.run(['status']);
    assert.equal([code, stderr], [0, '']);
  });

  test('works through symbolic links and from any folder', async () => {
    await using folder = await ScriptFolder.create();
    await mkdir(folder.at('bin'));
    await symlink('../datacenter', folder.at('bin/one'));
    await symlink(folder.at('bin/one'), folder.at('two'));
    const { stdout, stderr } = await execute('bash', [folder.at('two'), 'apps']);
    assert.is(stdout, 'launched apps\n', stderr);
  });

  test('several at the same time build once', async () => {
    await using folder = await ScriptFolder.create();
    const results = await Promise.all(['a', 'b', 'c'].map((name) => folder.run([name])));
    assert.equal(
      results.map(({ stdout }) => stdout),
      ['launched a\n', 'launched b\n', 'launched c\n'],
    );
    const builds = results.filter(({ stderr }) => stderr.includes('building'));
    assert.is(builds.length, 1);
  });

  test('the lock of one that was killed is taken over', async () => {
    await using folder = await ScriptFolder.create();
    await folder.write('.fractory/setup.lock/pid', '4194305\n');
    const { code, stdout } = await folder.run(['status']);
    assert.is(code, 0);
    assert.is(stdout, 'launched status\n');
  });

  for (const [what, version] of [
    ['missing', undefined],
    ['too old', 'v20.8.1'],
  ] as const)
    test(`a Node.js that is ${what} is a clear error`, async () => {
      await using folder = await ScriptFolder.create();
      await mkdir(folder.at('bin'));
      for (const tool of ['dirname', 'cat'])
        await symlink(`/usr/bin/${tool}`, folder.at(`bin/${tool}`));
      if (version !== undefined) {
        await folder.write('bin/node', `#!/bin/sh\necho ${version}\n`);
        await chmod(folder.at('bin/node'), 0o755);
      }
      const { code, stderr } = await execute('/bin/bash', [folder.at('datacenter'), 'up'], {
        PATH: folder.at('bin'),
      });
      assert.is(code, 1);
      assert.match(stderr, /^error: Node\.js .*20\.9 or newer is needed\n.*nvm install/);
    });

  test('setup lists what is there, says nothing when quiet, and refuses unknown options', async () => {
    await using folder = await ScriptFolder.create();
    const first = await folder.run(['setup'], { FRACTORY_ZOOKEEPER_ENABLED: 'false' });
    assert.is(first.code, 0, first.stderr);
    assert.match(first.stderr, /ok: Node\.js \d+.*\nok: npm packages\nbuilding .*\nok: build\n/);
    assert.is(first.stdout, '');
    const wrong = await folder.run(['setup', '--qiet']);
    assert.is(wrong.code, 2);
  });

  test('a source that does not build stops run, but not down', async () => {
    await using folder = await ScriptFolder.create();
    await folder.run(['status']);
    await folder.write('build.mjs', 'process.exit(1);');
    const later = new Date(Date.now() + 10_000);
    await utimes(folder.at('build.mjs'), later, later);
    const run = await folder.run(['run', 'a']);
    assert.is(run.code, 1);
    assert.match(run.stderr, /error: the build failed/);
    const down = await folder.run(['down']);
    assert.equal([down.code, down.stdout], [0, 'launched down\n']);
  });
});
