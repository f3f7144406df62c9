import { status } from '@grpc/grpc-js';

import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError } from '../../../runtime/errors.js';
import { Admission } from '../../../services/cnn/admission.js';
import type { Place } from '../../../services/cnn/admission.js';
import { assert, rejects, suite, throws } from '../../suite.js';

/** Requests that end when the test says so. */
class Requests {
  readonly clock = new ManualClock();
  readonly admission: Admission;

  constructor(maxQueued: number, maxBytes: number) {
    const limits = { max_queued: maxQueued, max_queued_bytes: maxBytes };
    this.admission = new Admission(limits, this.clock);
  }

  /** Resolves when it is under way. */
  async start(bytes: number): Promise<{ readonly place: Place; end: () => Promise<void> }> {
    let end = (): void => undefined;
    let ended: Promise<void> = Promise.resolve();
    const place = await new Promise<Place>((resolve, reject) => {
      ended = this.admission.run(bytes, (found) => {
        resolve(found);
        return new Promise((over) => (end = over));
      });
      ended.catch(reject);
    });
    return {
      place,
      end: () => {
        end();
        return ended;
      },
    };
  }
}

const full = { code: status.RESOURCE_EXHAUSTED, reason: 'QUEUE_FULL' } as const;

suite('admission', (test) => {
  test('past so many requests the next is told when to come again', async () => {
    const requests = new Requests(2, 1000);
    const one = await requests.start(0);
    await requests.start(0);
    const error = await rejects(requests.start(0), FractoryError, full);
    assert.is(error.metadata['limit'], 'max_queued');
    assert.ok((error.retryAfterMs ?? 0) > 0);
    await one.end();
    await requests.start(0);
  });

  test('so it is past so many bytes of all of them', async () => {
    const requests = new Requests(10, 1000);
    const one = await requests.start(600);
    await requests.start(400);
    const error = await rejects(requests.start(1), FractoryError, full);
    assert.is(
      error.message,
      'requests under way take 1000 bytes, this one 1, the limit max_queued_bytes is 1000',
    );
    assert.ok((error.retryAfterMs ?? 0) > 0);
    await one.end();
    await requests.start(600);
    await rejects(requests.start(1), FractoryError, full);
  });

  test('one that is alone is taken whatever its size', async () => {
    const requests = new Requests(10, 1000);
    const one = await requests.start(5000);
    one.place.hold(5000);
    await rejects(requests.start(1), FractoryError, full);
    await one.end();
    await requests.start(1000);
  });

  test('what a request gets later counts too, and is given back with the rest', async () => {
    const requests = new Requests(10, 1000);
    const one = await requests.start(0);
    const other = await requests.start(0);
    one.place.hold(700);
    throws(
      () => {
        other.place.hold(400);
      },
      FractoryError,
      full,
    );
    other.place.hold(300);
    await one.end();
    other.place.hold(700);
  });
});
