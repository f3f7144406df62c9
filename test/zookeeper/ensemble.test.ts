import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { sleep } from '../../runtime/deadline.js';
import { silentLogger } from '../../runtime/logger.js';
import { Ensemble } from '../../zookeeper/ensemble.js';
import { Session } from '../../zookeeper/session.js';
import { assert, suite, throws } from '../suite.js';
import { ensembleIn, startEnsemble, whyNoZooKeeper } from './ensemble-fixture.js';

const skip = await whyNoZooKeeper();

/** Is there such a process? One that has ended and was not waited for counts as gone. */
async function lives(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

/** Waits until all these processes are gone, and returns how long that took. */
async function gone(pids: readonly number[], timeoutMs: number): Promise<number> {
  const startedAtMs = performance.now();
  while ((await Promise.all(pids.map(lives))).some(Boolean)) {
    if (performance.now() - startedAtMs > timeoutMs) throw new Error(`${pids.join()} live on`);
    await sleep(20);
  }
  return performance.now() - startedAtMs;
}

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-ensemble-'));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function createZnode(connect: string): Promise<bigint> {
  const log = silentLogger();
  const session = new Session({ connect, sessionTimeoutMs: 2000, secret: '', log });
  try {
    await session.open(8000);
    await session.ensure('/kept');
    const created = await session.create('/kept/child-', Buffer.alloc(0), {
      mode: 'ephemeral-sequential',
    });
    const znode = await session.read(created);
    return znode!.czxid;
  } finally {
    await session.close();
  }
}

suite('managed ensemble', (define) => {
  const test: typeof define = (name, body) => {
    define(name, body, { timeoutMs: 30_000, skip });
  };

  test('three servers form a quorum, and stop leaves no process', async () => {
    await using zookeeper = await startEnsemble({ servers: 3 });
    const { servers } = zookeeper.ensemble;
    assert.equal(servers.map(({ mode }) => mode).sort(), ['follower', 'follower', 'leader']);
    const pids = servers.map(({ pid }) => pid);
    assert.ok((await Promise.all(pids.map(lives))).every(Boolean));
    await Promise.all([zookeeper.ensemble.stop(), zookeeper.ensemble.stop()]);
    assert.equal(await Promise.all(pids.map(lives)), [false, false, false]);
    assert.equal(
      zookeeper.ensemble.servers.map(({ pid }) => pid),
      [0, 0, 0],
    );
  });

  test('a server that dies is started again', async () => {
    await using zookeeper = await startEnsemble();
    const [before] = zookeeper.ensemble.servers;
    process.kill(before!.pid, 'SIGKILL');
    await gone([before!.pid], 5000);
    await createZnode(zookeeper.connect);
    const [after] = await zookeeper.ensemble.refresh();
    assert.is(after?.mode, 'standalone');
    assert.is.not(after?.pid, before?.pid);
  });

  test('servers end soon after the process that started them was killed', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(path.dirname(fileURLToPath(import.meta.url)), 'ensemble-process.js');
    const launcher = spawn(process.execPath, [file, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface(launcher.stdout), 'line')) as [string];
    const pids = JSON.parse(line) as number[];
    assert.is(pids.length, 3);
    assert.ok((await Promise.all(pids.map(lives))).every(Boolean));
    launcher.kill('SIGKILL');
    assert.ok((await gone(pids, 5000)) < 2000);
  });

  test('data survives a stop and a start on other ports, and transaction ids go on growing', async () => {
    await using folder = await temporaryFolder();
    const lives: { epoch: bigint; connect: string }[] = [];
    for (let life = 0; life < 2; life++) {
      await using ensemble = await ensembleIn(folder.path, { servers: 3 });
      await ensemble.start();
      lives.push({ connect: ensemble.connect, epoch: await createZnode(ensemble.connect) });
    }
    assert.is.not(lives[0]?.connect, lives[1]?.connect);
    assert.ok(lives[1]!.epoch > lives[0]!.epoch);
  });

  test('the first clean stop leaves a class archive, and a broken one does no harm', async () => {
    await using folder = await temporaryFolder();
    const options = { archivePath: folder.path };
    for (const round of ['made', 'used', 'broken']) {
      await using ensemble = await ensembleIn(path.join(folder.path, 'data'), options);
      await ensemble.start();
      await ensemble.stop();
      const archives = (await readdir(folder.path)).filter((name) => name.includes('.jsa'));
      assert.is(archives.length, 1, round);
      assert.ok(archives[0]!.endsWith('.jsa'));
      const archive = path.join(folder.path, archives[0]!);
      if (round === 'used') {
        await chmod(archive, 0o600);
        await writeFile(archive, 'not an archive');
      }
    }
  });

  test('a start that is aborted leaves no process', async () => {
    await using folder = await temporaryFolder();
    const ensemble = await ensembleIn(folder.path);
    await ensemble.spawn();
    const [server] = ensemble.servers;
    const reason = new Error('no more');
    let thrown: unknown;
    await ensemble.ready(AbortSignal.abort(reason)).catch((error: unknown) => (thrown = error));
    assert.is(thrown, reason);
    assert.is(await lives(server!.pid), false);
  });

  define('says what is missing and what mends it', async () => {
    const noJava = await Ensemble.find({ searchPath: '/nowhere' });
    assert.ok(!noJava.ok && noJava.missing === 'java' && noJava.remedy.includes('apt-get install'));
    await using folder = await temporaryFolder();
    const noJar = await Ensemble.find({
      searchPath: path.dirname(process.execPath),
      javaHome: '/usr',
      zookeeperHome: folder.path,
    });
    assert.is(noJar.ok, false);
  });

  define('refuses an even number of servers', () => {
    throws(
      () =>
        new Ensemble({
          installation: { ok: true, java: '', classPath: '' },
          servers: 2,
          path: '/nowhere',
          log: silentLogger(),
        }),
      RangeError,
    );
  });
});
