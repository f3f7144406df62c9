import {
  alongside,
  applicationNode,
  cnn,
  join,
  map,
  math,
  onFailure,
  parallel,
  repeat,
  sequence,
  step,
  storage,
  withLimits,
} from '../../applications/sdk/index.js';
import type {
  Blend,
  DataCenter,
  Explanation,
  FinishedRun,
  Json,
  List,
  Named,
  None,
  Prediction,
  TensorData,
  Text,
  Written,
} from '../../applications/sdk/index.js';
import { assert, suite } from '../suite.js';

/**
 * What the compiler must accept and refuse; `npm run types` fails where a line below `@ts-expect-error` compiles. Never called.
 */
const file = { client: 'a', name: 'x' };
const two = parallel(cnn.predict({ model: 'a' }), cnn.predict({ model: 'b' }));

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

export function compilesBranches(dataCenter: DataCenter): Promise<unknown>[] {
  const tuple: Promise<FinishedRun<readonly [Prediction, Written]>> = dataCenter.run(
    sequence(storage.read(file), parallel(cnn.predict(), storage.write(file))),
  );
  const blended: Promise<FinishedRun<Blend>> = dataCenter.run(
    sequence(storage.read(file), two, join(math.blend())),
  );
  const added: Promise<FinishedRun<bigint>> = dataCenter.run(
    sequence(
      parallel(math.factorial({ input: 3n }), storage.read({ ...file, as: 'integer' })),
      join(['input', 'by'], math.add()),
    ),
  );
  const recovered: Promise<FinishedRun<Prediction | Explanation>> = dataCenter.run(
    onFailure(sequence(storage.read(file), cnn.predict()), applicationNode.explain()),
  );
  const kept: Promise<FinishedRun<Written>> = dataCenter.run(
    onFailure(sequence(storage.read(file), storage.write(file)), storage.write(file)),
  );
  const summed: Promise<FinishedRun<bigint>> = dataCenter.run(
    sequence(
      math.split({ input: 9n, parts: 3n }),
      map(math.sumPowers({ exponent: 2n })),
      math.sum(),
    ),
  );
  const mapped: Promise<FinishedRun<readonly (readonly [Prediction, Written])[]>> = dataCenter.run(
    sequence(
      storage.list({ as: 'names' }),
      map(sequence(storage.read({ client: 'a' }), parallel(cnn.predict(), storage.write(file))), {
        parallelism: 3,
      }),
    ),
  );
  const given: Promise<FinishedRun<readonly bigint[]>> = dataCenter.run(
    map(withLimits(math.factorial(), { timeoutMs: 9, retries: 2 }), { elements: [1n, 2n] }),
  );
  const rows: Promise<FinishedRun<readonly Readonly<Record<string, unknown>>[]>> = dataCenter.run(
    sequence(
      storage.list({ as: 'names' }),
      alongside(map(sequence(storage.read({ client: 'a' }), cnn.predict()))),
      join(applicationNode.rows({ columns: ['picture', 'prediction'] })),
    ),
  );
  const nested = map(map(math.sumPowers({ exponent: 1n })));
  const asked: Promise<FinishedRun<readonly (readonly bigint[])[]>> = dataCenter.run(
    sequence(step<None, List<List<Text>>>('x.y'), nested),
  );
  return [tuple, blended, added, recovered, kept, summed, mapped, given, rows, asked];
}

export function compilesTensors(dataCenter: DataCenter): Promise<unknown>[] {
  const embedded = sequence(storage.read(file), cnn.embed({ model: 'a' }));
  const vector: Promise<FinishedRun<TensorData>> = dataCenter.run(embedded);
  const similarity: Promise<FinishedRun<number>> = dataCenter.run(
    sequence(parallel(embedded, embedded), join(['a', 'b'], math.cosine())),
  );
  const compared: Promise<FinishedRun<number>> = dataCenter.run(
    sequence(embedded, math.cosine({ b: [1, 0.5] })),
  );
  const given: Promise<FinishedRun<number>> = dataCenter.run(math.cosine({ a: [1], b: [2] }));
  const one: Promise<FinishedRun<TensorData>> = dataCenter.run(
    sequence(embedded, cnn.infer({ model: 'b', output: 'y' })),
  );
  const some: Promise<FinishedRun<readonly TensorData[]>> = dataCenter.run(
    sequence(
      parallel(embedded, embedded),
      join(cnn.infer({ model: 'b', inputs: ['l', 'r'], outputs: ['x', 'y'] })),
    ),
  );
  const tensor = { datatype: 'FP32', shape: [1n], data: new Uint8Array(4) };
  const all: Promise<FinishedRun<TensorData | readonly TensorData[]>> = dataCenter.run(
    cnn.infer({ model: 'b', input: [tensor, tensor] }),
  );
  const stored: Promise<FinishedRun<Written>> = dataCenter.run(
    sequence(cnn.infer({ model: 'b', input: tensor, output: 'y' }), storage.write(file)),
  );
  return [vector, similarity, compared, given, one, some, all, stored];
}

export function refusesTensors(dataCenter: DataCenter): void {
  const embedded = sequence(storage.read(file), cnn.embed());
  // @ts-expect-error -- a tensor is no picture
  sequence(embedded, cnn.predict());
  // @ts-expect-error -- a picture is no tensor
  sequence(storage.read(file), cnn.infer({ model: 'a' }));
  // @ts-expect-error -- a prediction is no vector
  sequence(storage.read(file), cnn.predict(), math.cosine({ b: [1] }));
  // @ts-expect-error -- one of the two vectors is not led in
  join(['a'], math.cosine());
  // @ts-expect-error -- without the name of an output it may be a list
  sequence(embedded, cnn.infer({ model: 'a' }), math.cosine({ b: [1] }));
  // @ts-expect-error -- tensors go through a model that is named
  cnn.infer({ output: 'y' });
  // @ts-expect-error -- a graph can't start with a step that wants tensors
  void dataCenter.run(cnn.infer({ model: 'a' }));
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
  // @ts-expect-error -- an integer is no text
  math.add({ input: '1', by: 1n });
  // @ts-expect-error -- there is no such form
  storage.read({ ...file, as: 'number' });
}

export function refusesBranches(dataCenter: DataCenter): void {
  const factorial = math.factorial({ input: 3n });
  // @ts-expect-error -- the second branch takes no bytes
  sequence(storage.read(file), parallel(cnn.predict(), math.factorial()));
  // @ts-expect-error -- one branch starts a graph, the other wants bytes
  void dataCenter.run(parallel(storage.read(file), cnn.predict()));
  // @ts-expect-error -- two results don't flow into one step without a join
  sequence(storage.read(file), two, storage.write(file));
  // @ts-expect-error -- predictions can't be summed
  sequence(storage.read(file), two, join(math.sum()));
  // @ts-expect-error -- there is nothing to join
  sequence(storage.read(file), cnn.predict(), join(math.blend()));
  // @ts-expect-error -- a factorial takes no list
  sequence(parallel(factorial, factorial), join(math.factorial()));
  // @ts-expect-error -- one of the two arguments is not led in
  join(['input'], math.add());
  // @ts-expect-error -- there is no such argument
  sequence(parallel(factorial, factorial, factorial), join(['input', 'by', 'x'], math.add()));
  // @ts-expect-error -- bytes are no integer, by name neither
  sequence(parallel(factorial, storage.read(file)), join(['input', 'by'], math.add()));
  // @ts-expect-error -- arguments by name need a join
  sequence(factorial, math.add());
  // @ts-expect-error -- a handler takes a failure, which is no picture
  onFailure(storage.read(file), cnn.predict());
  // @ts-expect-error -- what the handler yields is no picture
  sequence(onFailure(storage.read(file), applicationNode.explain()), cnn.predict());
  // @ts-expect-error -- a map goes through lists
  sequence(factorial, map(math.factorial()));
  // @ts-expect-error -- the elements are names, not pictures
  sequence(storage.list({ as: 'names' }), map(cnn.predict()));
  // @ts-expect-error -- without `as: 'names'` a list of files is JSON
  sequence(storage.list(), map(storage.read({ client: 'a' })));
  // @ts-expect-error -- an element of another kind than the flow takes
  map(math.shiftLeft({ m: 1n }), { elements: [1] });
  // @ts-expect-error -- a list of predictions can't be summed
  sequence(storage.list({ as: 'names' }), map(step<Text, Json<1>>('x.y')), math.sum());
  // @ts-expect-error -- a read without a name can't start a graph
  void dataCenter.run(storage.read({ client: 'a' }));
}

/** A named step of one's own. */
export const named = join(
  ['left', 'right'],
  step<Named<{ left: Text; right: Text }>, Text>('text.concat'),
);

suite('types of flows', (test) => {
  test('the compiler checks this file; both halves are there', () => {
    assert.equal(
      [compiles, compilesBranches, compilesTensors].map((half) => typeof half),
      ['function', 'function', 'function'],
    );
    assert.equal(
      [refuses, refusesBranches, refusesTensors].map((half) => typeof half),
      ['function', 'function', 'function'],
    );
  });
});
