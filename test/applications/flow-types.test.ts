import { cnn, math, repeat, sequence, storage } from '../../applications/sdk/index.js';
import type { DataCenter, FinishedRun, Prediction, Written } from '../../applications/sdk/index.js';
import { assert, suite } from '../suite.js';

/**
 * What the compiler must accept and refuse; `npm run types` fails where a line below `@ts-expect-error` compiles. Never called.
 */
const file = { client: 'a', name: 'x' };

export function compiles(dataCenter: DataCenter): Promise<unknown>[] {
  const written: Promise<FinishedRun<Written>> = dataCenter.run(
    sequence(storage.read(file), cnn.predict(), storage.write(file)),
  );
  const predicted: Promise<FinishedRun<Prediction>> = dataCenter.run(
    sequence(storage.read(file), cnn.predict()),
  );
  const integer: Promise<FinishedRun<bigint>> = dataCenter.run(
    sequence(
      storage.read({ ...file, as: 'integer' }),
      repeat(3, math.shiftLeft({ m: 1n })),
      math.factorial(),
      math.binomial({ k: 2n }),
    ),
  );
  const text: Promise<FinishedRun<string>> = dataCenter.run(storage.read({ ...file, as: 'text' }));
  return [written, predicted, integer, text];
}

export function refuses(dataCenter: DataCenter): void {
  // @ts-expect-error -- an integer is no picture
  sequence(math.factorial({ input: 3n }), cnn.predict());
  // @ts-expect-error -- a prediction is no integer
  sequence(storage.read(file), cnn.predict(), math.factorial());
  // @ts-expect-error -- bytes are no integer unless they are read as one
  sequence(storage.read(file), math.add({ by: 1n }));
  // @ts-expect-error -- nothing flows into a read
  sequence(math.factorial({ input: 3n }), storage.read(file));
  // @ts-expect-error -- the operand is given and flows in too
  sequence(storage.read({ ...file, as: 'integer' }), math.add({ input: 1n, by: 1n }));
  // @ts-expect-error -- a write yields no picture
  sequence(storage.read(file), storage.write(file), cnn.predict());
  // @ts-expect-error -- what is repeated must yield what it takes
  repeat(2, cnn.predict());
  // @ts-expect-error -- a graph can't start with a step that wants something
  void dataCenter.run(math.factorial());
  // @ts-expect-error -- a graph can't start with a write
  void dataCenter.run(storage.write(file));
  // @ts-expect-error -- exact integers are bigint
  math.add({ input: 1, by: 1n });
  // @ts-expect-error -- there is no such form
  storage.read({ ...file, as: 'number' });
}

suite('types of flows', (test) => {
  test('the compiler checks this file; both halves are there', () => {
    assert.equal([typeof compiles, typeof refuses], ['function', 'function']);
  });
});
