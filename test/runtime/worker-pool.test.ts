import { status } from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { FractoryError } from '../../runtime/errors.js';
import { processWorkers, threadWorkers } from '../../runtime/worker-host.js';
import type { StartWorker } from '../../runtime/worker-host.js';
import { WorkerPool } from '../../runtime/worker-pool.js';
import type { WorkerPoolOptions } from '../../runtime/worker-pool.js';
import { assert, rejects, suite } from '../suite.js';

const script = new URL('./worker-script.js', import.meta.url);
const kinds: readonly (readonly [string, StartWorker])[] = [
  ['thread', threadWorkers(script)],
  ['process', processWorkers(script, { memoryBytes: 64 * 1024 ** 2 })],
];

function poolOf(
  start: StartWorker,
  options: Partial<WorkerPoolOptions> = {},
): WorkerPool<string, unknown> {
  return new WorkerPool({
    name: 'test',
    start,
    size: 1,
    maxQueued: 10,
    onAbort: 'kill',
    ...options,
  });
}

const bounds = { what: 'the task', timeoutMs: 5000, limit: 'max_test_ms' };

for (const [kind, start] of kinds)
  suite(`a pool of ${kind} workers`, (test) => {
    test('answers tasks in order, and starts no more workers than it may', async () => {
      await using pool = poolOf(start, { size: 2 });
      const tasks = ['a', 'b', 'c', 'd', 'e'];
      const results = await Promise.all(tasks.map((task) => pool.run(task, bounds)));
      assert.equal(
        results,
        tasks.map((task) => `${task} in a ${kind}`),
      );
      assert.equal(pool.load, { queued: 0, running: 0, workers: 2 });
    });

    test('a worker that dies costs its own task only', async () => {
      await using pool = poolOf(start);
      const [died, lived] = await Promise.allSettled([
        pool.run('die', bounds),
        pool.run('a', bounds),
      ]);
      assert.is(died.status === 'rejected' && (died.reason as FractoryError).reason, 'WORKER_DIED');
      assert.is(lived.status === 'fulfilled' && lived.value, `a in a ${kind}`);
    });

    test('a task past its time is ended and names the limit', async () => {
      await using pool = poolOf(start);
      await pool.run('a', bounds);
      const error = await rejects(pool.run('hang', { ...bounds, timeoutMs: 100 }), FractoryError, {
        code: status.DEADLINE_EXCEEDED,
      });
      assert.is(error.message, 'the task took longer than the limit max_test_ms = 100 ms');
      assert.is(await pool.run('a', bounds), `a in a ${kind}`);
    });

    test('errors come back as they were thrown, bugs as bugs', async () => {
      await using pool = poolOf(start);
      const refused = await rejects(pool.run('refuse', bounds), FractoryError, {
        code: status.INVALID_ARGUMENT,
        reason: 'REFUSED',
      });
      assert.is(refused.violations[0]?.field, 'task');
      const bug = await rejects(pool.run('break', bounds), Error);
      assert.not.instance(bug, FractoryError);
      assert.match(bug.message, /TypeError: a bug/);
      assert.is(pool.load.workers, 1);
    });

    test('a cancelled task that waits leaves the queue, and others go on', async () => {
      await using pool = poolOf(start);
      const controller = new AbortController();
      const first = pool.run('a', bounds);
      const second = rejects(pool.run('b', { ...bounds, signal: controller.signal }), Error);
      controller.abort(new Error('enough'));
      assert.is((await second).message, 'enough');
      assert.is(await first, `a in a ${kind}`);
      assert.is(pool.load.queued, 0);
    });

    test('a queue that is full refuses', async () => {
      await using pool = poolOf(start, { maxQueued: 1 });
      const waiting = [pool.run('a', bounds)];
      await rejects(pool.run('b', bounds), FractoryError, { reason: 'QUEUE_FULL' });
      await Promise.all(waiting);
    });

    test('disposing ends workers in the middle of a task', async () => {
      const pool = poolOf(start);
      await pool.run('a', bounds);
      const failed = rejects(pool.run('hang', bounds), FractoryError, { reason: 'NODE_STOPPING' });
      await pool[Symbol.asyncDispose]();
      await failed;
      assert.is(pool.load.workers, 0);
    });
  });

suite('workers that go wrong at their start', (test) => {
  const missing = new URL('./no-such-script.js', import.meta.url);
  for (const [kind, start] of [
    ['thread', threadWorkers(missing)],
    ['process', processWorkers(missing, { memoryBytes: 64 * 1024 ** 2 })],
  ] as const)
    test(`a ${kind} whose script is missing fails its task with the reason`, async () => {
      await using pool = poolOf(start);
      const error = await rejects(pool.run('a', bounds), FractoryError, { reason: 'WORKER_DIED' });
      assert.match(error.message, /no-such-script/);
    });
});

suite('worker processes of a node that is killed', (test) => {
  test('end by themselves', async () => {
    // A process that owns a pool, tells the id of its worker and is killed.
    const code = `
      const { processWorkers } = await import(${JSON.stringify(new URL('../../runtime/worker-host.js', import.meta.url))});
      const { WorkerPool } = await import(${JSON.stringify(new URL('../../runtime/worker-pool.js', import.meta.url))});
      const start = processWorkers(new URL(${JSON.stringify(script)}), { memoryBytes: 67108864 });
      const pool = new WorkerPool({ name: 'test', start, size: 1, maxQueued: 1, onAbort: 'kill' });
      console.log(await pool.run('pid', { what: 'pid', timeoutMs: 5000, limit: 'none' }));`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(owner.stdout, 'data')) as [Buffer];
    const worker = Number(line.toString());
    assert.ok(isAlive(worker));
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    while (isAlive(worker)) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
