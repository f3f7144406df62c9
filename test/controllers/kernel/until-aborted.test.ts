import { EventEmitter, once } from 'node:events';
import { PassThrough } from 'node:stream';

import pino from 'pino';

import { untilAborted } from '../../../controllers/kernel/until-aborted.js';
import { bytesValue } from '../../../protos/values.js';
import { cancelled, FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { Logger } from '../../../runtime/logger.js';
import { KeptResult } from '../../../services/content.js';
import { assert, rejects, suite } from '../../suite.js';

/** A kept result; disposing of its content does this. */
function kept(dispose: () => Promise<void>): KeptResult {
  const content = { sizeBytes: 0, read: async function* () {}, [Symbol.asyncDispose]: dispose };
  return new KeptResult(content, bytesValue('', new Uint8Array()));
}

const reason = cancelled('the step was released');

/** Waits for a result that comes only when it is released already. */
async function comesLate(result: KeptResult, log: Logger): Promise<void> {
  let letGo: (late: KeptResult) => void = () => undefined;
  const stop = new AbortController();
  const late = new Promise<KeptResult>((resolve) => (letGo = resolve));
  const waiting = untilAborted(late, stop.signal, log);
  stop.abort(reason);
  await rejects(waiting, FractoryError, { message: reason.message });
  letGo(result);
}

suite('until aborted', (test) => {
  test('a result that comes too late is given back', async () => {
    const events = new EventEmitter();
    const disposed = once(events, 'disposed');
    const result = kept(() => {
      events.emit('disposed');
      return Promise.resolve();
    });
    await comesLate(result, silentLogger());
    await disposed;
  });

  test('one that can not be given back is told, and ends nothing else', async () => {
    const lines = new PassThrough();
    await comesLate(
      kept(() => Promise.reject(new Error('the disk is gone'))),
      pino(lines),
    );
    const [line] = (await once(lines, 'data')) as [Buffer];
    assert.match(line.toString(), /the disk is gone/);
  });
});
