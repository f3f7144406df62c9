import { readdir, symlink } from 'node:fs/promises';
import path from 'node:path';

import { cancelled, FractoryError } from '../../../../../runtime/errors.js';
import { readCheckpoint } from '../../../../../services/cnn/training/loop/checkpoint.js';
import { assert, rejects, suite } from '../../../../suite.js';
import { temporaryFolder } from '../../fixture.js';
import { smallTask, trainTask } from './fixture.js';

suite('a training in its thread', (test) => {
  test('learns, tells each epoch and keeps the best network', async () => {
    await using folder = await temporaryFolder();
    const task = await smallTask(folder.path, 8);
    const news = await trainTask(task);
    const epochs = news.flatMap((one) => (one.kind === 'epoch' ? [one.record] : []));
    assert.equal(
      epochs.map(({ epoch }) => epoch),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.is(epochs[0]?.best, true);
    const { head, bestModel } = (await readCheckpoint(task.checkpointFile))!;
    assert.is(head.best?.evaluation.accuracy, 1);
    assert.is(head.best?.epoch, epochs.findLast(({ best }) => best)?.epoch);
    assert.ok(bestModel.length > 0);
    assert.equal(head.done, epochs);
  });

  test('interrupted and resumed it has the same weights, to the last bit, as without', async () => {
    await using folder = await temporaryFolder();
    const task = await smallTask(path.join(folder.path, 'a'));
    await trainTask(task);
    const whole = (await readCheckpoint(task.checkpointFile))!;
    const other = await smallTask(path.join(folder.path, 'b'));
    const stopping = new AbortController();
    await rejects(
      trainTask(other, stopping.signal, (news) => {
        if (news.kind === 'epoch' && news.record.epoch === 2) stopping.abort(cancelled('enough'));
      }),
      FractoryError,
      { reason: 'CANCELLED', message: 'enough' },
    );
    const half = (await readCheckpoint(other.checkpointFile))!;
    assert.ok(half.head.done.length >= 2 && half.head.done.length < 5);
    const [ready] = await trainTask({ ...other, resume: true });
    assert.equal(ready?.kind === 'ready' && ready.done, half.head.done);
    const resumed = (await readCheckpoint(other.checkpointFile))!;
    assert.equal([...resumed.state], [...whole.state]);
    assert.equal(resumed.bestModel, whole.bestModel);
    assert.is(resumed.head.best?.epoch, whole.head.best?.epoch);
  });

  test('another seed gives other weights', async () => {
    await using folder = await temporaryFolder();
    const task = await smallTask(folder.path, 1);
    await trainTask(task);
    const one = (await readCheckpoint(task.checkpointFile))!;
    await trainTask({ ...task, plan: { ...task.plan, seed: 6n } });
    assert.not.equal([...(await readCheckpoint(task.checkpointFile))!.state], [...one.state]);
  });

  test('a full disk is told with the folder, and the last good checkpoint stays', async () => {
    await using folder = await temporaryFolder();
    const task = await smallTask(folder.path, 3);
    const runs = path.dirname(task.checkpointFile);
    const error = await rejects(
      trainTask(task, undefined, (news) => {
        // From now on what is written for the next checkpoint goes to a disk that is full.
        if (news.kind === 'epoch' && news.record.epoch === 1) fillDisk(task.checkpointFile);
      }),
      FractoryError,
      { reason: 'DISK_FULL' },
    );
    assert.match(error.message, new RegExp(runs));
    const kept = await readCheckpoint(task.checkpointFile);
    assert.ok(kept!.head.done.length >= 1 && kept!.head.done.length < 3);
    assert.equal(await readdir(runs), ['checkpoint.bin']);
  });

  test('an engine that fails fails the training, and an aborted signal starts none', async () => {
    await using folder = await temporaryFolder();
    const task = await smallTask(folder.path, 1);
    await rejects(trainTask({ ...task, engineModule: 'data:text/javascript,0' }), Error);
    await rejects(trainTask(task, AbortSignal.abort(cancelled('before'))), FractoryError, {
      message: 'before',
    });
  });
});

function fillDisk(checkpointFile: string): void {
  void symlink('/dev/full', `${checkpointFile}.${String(process.pid)}.tmp`).catch(() => undefined);
}
