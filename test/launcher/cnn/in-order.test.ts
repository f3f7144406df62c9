import { inOrder } from '../../../launcher/cnn/in-order.js';
import { assert, rejects, suite } from '../../suite.js';

/** `onTake` hears how many were asked for. */
async function* numbers(
  count: number,
  onTake: (taken: number) => void = () => undefined,
): AsyncGenerator<number> {
  for (let number = 0; number < count; number++) {
    onTake(number + 1);
    yield await Promise.resolve(number);
  }
}

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const result of results) all.push(result);
  return all;
}

const never = new AbortController().signal;

suite('work in order', (test) => {
  test('results come in the order of the items, whoever is ready first', async () => {
    let underWay = 0;
    let most = 0;
    const results = inOrder(
      numbers(200),
      async (number) => {
        most = Math.max(most, ++underWay);
        for (let turn = 0; turn < 10 + ((number * 7) % 11); turn++) await Promise.resolve();
        underWay--;
        return number;
      },
      { concurrency: 5, ahead: 50, signal: never },
    );
    assert.equal(await collect(results), [...Array(200).keys()]);
    assert.is(most, 5);
  });

  test('one that takes long holds back at most so many results', async () => {
    let taken = 0;
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    let most = 0;
    const results = inOrder(
      numbers(1000, (count) => {
        taken = count;
        // By now the reader has had all turns that it needs to ask for one too many.
        if (count === 20)
          setImmediate(() => {
            most = taken;
            open();
          });
      }),
      async (number) => {
        if (number === 0) await opened;
        return number;
      },
      { concurrency: 4, ahead: 20, signal: never },
    );
    assert.is((await collect(results)).length, 1000);
    assert.is(most, 20);
  });

  test('an abort yields what is known, also behind what is not, and waits for nothing', async () => {
    const controller = new AbortController();
    const results = inOrder(
      numbers(1000),
      (number) => (number === 1 ? new Promise<number>(() => undefined) : Promise.resolve(number)),
      { concurrency: 4, ahead: 6, signal: controller.signal },
    );
    const all = collect(results);
    // All that needs no more than turns of promises has happened by then.
    setImmediate(() => {
      controller.abort();
    });
    assert.equal(await all, [0, 2, 3, 4, 5, 6]);
  });

  test('an abort ends it also while the source has nothing to give', async () => {
    const controller = new AbortController();
    const silent: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    };
    const results = inOrder(silent, (number) => Promise.resolve(number), {
      ...{ concurrency: 1, ahead: 1, signal: controller.signal },
    });
    const all = collect(results);
    setImmediate(() => {
      controller.abort();
    });
    assert.equal(await all, []);
  });

  test('what the source throws comes behind the results before it', async () => {
    async function* failing(): AsyncGenerator<number> {
      yield await Promise.resolve(1);
      throw new RangeError('no more');
    }
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for await (const result of inOrder(failing(), (number) => Promise.resolve(number), {
        ...{ concurrency: 2, ahead: 2, signal: never },
      }))
        seen.push(result);
    };
    await rejects(run(), RangeError);
    assert.equal(seen, [1]);
  });
});
