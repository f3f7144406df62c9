import { Gates, incomplete } from '../../../../controllers/kernel/graph/gates.js';
import type { Contribution } from '../../../../controllers/kernel/graph/gates.js';
import { Invocation } from '../../../../protos/gen/fractory/v1/controller.js';
import { integerValue, toPlain } from '../../../../protos/values.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite, throws } from '../../../suite.js';

const invocation = (name: string, value: bigint, receipts: readonly string[] = [], hops = 0) =>
  Invocation.fromPartial({
    arguments: [{ name, value: integerValue(value) }],
    receipts: receipts.map((text) => Buffer.from(text)),
    hops,
  });

const plainArguments = (arrived: Invocation) =>
  Object.fromEntries(arrived.arguments.map(({ name, value }) => [name, toPlain(value)]));

function fired(contribution: Contribution): Invocation {
  if (contribution.kind !== 'fired')
    throw new Error(`the gate has not opened: ${contribution.kind}`);
  return contribution.invocation;
}

suite('the gate of a step with several edges in', (test) => {
  test('opens when every input is there, whatever the order', () => {
    const gates = new Gates();
    const inputs = ['left', 'right'];
    assert.is(gates.contribute('k', inputs, invocation('right', 2n)).kind, 'waits');
    const last = fired(gates.contribute('k', inputs, invocation('left', 1n)));
    assert.equal(plainArguments(last), { left: '1', right: '2' });
  });

  test('what is complete was sent when its last input was', () => {
    const gates = new Gates();
    const sent = (name: string, sentAtUs: bigint) => ({ ...invocation(name, 1n), sentAtUs });
    gates.contribute('k', ['a', 'b'], sent('a', 100n));
    assert.is(fired(gates.contribute('k', ['a', 'b'], sent('b', 900n))).sentAtUs, 900n);
  });

  test('opens once: what comes later is too late', () => {
    const gates = new Gates();
    assert.is(gates.contribute('k', ['input'], invocation('input', 1n)).kind, 'fired');
    assert.is(gates.contribute('k', ['input'], invocation('input', 2n)).kind, 'too late');
  });

  test('counts the first of two results for one input', () => {
    const gates = new Gates();
    gates.contribute('k', ['a', 'b'], invocation('a', 1n));
    gates.contribute('k', ['a', 'b'], invocation('a', 9n));
    const last = fired(gates.contribute('k', ['a', 'b'], invocation('b', 2n)));
    assert.equal(plainArguments(last), { a: '1', b: '2' });
  });

  test('makes a list of elements by their positions, however far apart the numbers are', () => {
    const gates = new Gates();
    const inputs = ['input[0]', 'input[4000000000]', 'input[2]', 'by'];
    gates.contribute('k', inputs, invocation('input[4000000000]', 3n));
    gates.contribute('k', inputs, invocation('by', 7n));
    gates.contribute('k', inputs, invocation('input[2]', 2n));
    const last = fired(gates.contribute('k', inputs, invocation('input[0]', 1n)));
    assert.equal(plainArguments(last), { by: '7', input: ['1', '2', '3'] });
  });

  test('puts receipts of paths that parted and met together, each once, and keeps the longer path', () => {
    const gates = new Gates();
    gates.contribute('k', ['a', 'b'], invocation('a', 1n, ['start', 'left'], 3));
    const last = fired(
      gates.contribute('k', ['a', 'b'], invocation('b', 2n, ['start', 'right'], 5)),
    );
    const receipts = last.receipts.map((receipt) => Buffer.from(receipt).toString());
    assert.equal(receipts, ['start', 'left', 'right']);
    assert.is(last.hops, 5);
  });

  test('refuses an input that it does not wait for', () => {
    const gates = new Gates();
    throws(() => gates.contribute('k', ['a'], invocation('b', 1n)), FractoryError, {
      reason: 'CAPABILITY_DENIED',
    });
    assert.is(gates.size, 0);
  });

  test('says which inputs never came', () => {
    const gates = new Gates();
    const first = gates.contribute('k', ['a', 'b', 'c'], invocation('b', 1n));
    if (first.kind !== 'waits') throw new Error(`it is ${first.kind}`);
    assert.match(incomplete(first.gate).message, 'waited for a, c');
  });
});
