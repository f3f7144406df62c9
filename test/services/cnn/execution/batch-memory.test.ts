import { BatchMemory } from '../../../../services/cnn/execution/batch-memory.js';
import type { RunInput } from '../../../../services/cnn/execution/messages.js';
import { assert, suite } from '../../../suite.js';
import { asking } from './contract.js';

const MIB = 1024 ** 2;

function packed(memory: BatchMemory, ...sizes: readonly number[]): (Uint8Array | undefined)[] {
  const requests = sizes.map((size, at) =>
    asking({
      name: 'x',
      datatype: 'UINT8',
      shape: [size],
      data: new Uint8Array(size).fill(at + 1),
    }),
  );
  const dataOf = (input: RunInput): Uint8Array | undefined =>
    input.kind === 'tensors' ? input.inputs[0]?.data : undefined;
  return memory.pack(requests, () => 0).map(dataOf);
}

suite('the memory of batches', (test) => {
  test('inputs of a batch stand side by side in memory that is used again', () => {
    const memory = new BatchMemory();
    const [one, two] = packed(memory, 3, 5);
    assert.equal(
      [[...(one ?? [])], [...(two ?? [])]],
      [
        [1, 1, 1],
        [2, 2, 2, 2, 2],
      ],
    );
    assert.is(one?.buffer, two?.buffer);
    assert.is(packed(memory, 7)[0]?.buffer, one?.buffer);
  });

  test('it keeps at most 8 MiB, however large a batch was', () => {
    const memory = new BatchMemory();
    packed(memory, 5 * MIB);
    assert.is(memory.keptBytes, 8 * MIB);
    const [large] = packed(memory, 60 * MIB);
    assert.is(large?.length, 60 * MIB);
    assert.is(memory.keptBytes, 8 * MIB);
  });
});
