import { NodeLife } from '../../../controllers/kernel/node-life.js';
import { silentLogger } from '../../../runtime/logger.js';
import { assert, suite } from '../../suite.js';

/** A life that notes what happens, in order. */
function noted() {
  const happened: string[] = [];
  let epoch = 0n;
  const life = new NodeLife({
    objects: {
      get epoch() {
        return epoch;
      },
      begin: (next) => {
        epoch = next;
        happened.push(`objects ${String(next)}`);
      },
    },
    kernel: { reset: () => happened.push('reset') },
    log: silentLogger(),
  });
  const stop = life.onEpoch(() => happened.push('epoch'));
  life.onLeads(() => happened.push('leads'));
  return { life, stop, taken: () => happened.splice(0) };
}

suite('the lives of a node', (test) => {
  test('a new epoch ends what was made before, and is told when that is done', () => {
    const { life, stop, taken } = noted();
    life.follow(7n, false, false);
    assert.equal(taken(), ['reset', 'objects 7', 'epoch']);
    life.follow(7n, false, false);
    assert.equal(taken(), []);
    stop();
    life.follow(0n, false, false);
    assert.equal(taken(), ['reset', 'objects 0']);
  });

  test('leading is told each time that it begins, in each life anew', () => {
    const { life, taken } = noted();
    life.follow(7n, true, false);
    assert.equal(taken(), ['reset', 'objects 7', 'epoch', 'leads']);
    life.follow(7n, true, false);
    life.follow(7n, false, false);
    assert.equal(taken(), []);
    life.follow(7n, true, false);
    assert.equal(taken(), ['leads']);
    life.follow(9n, true, false);
    assert.equal(taken(), ['reset', 'objects 9', 'epoch', 'leads']);
  });

  test('whoever leaves keeps the life that it has to its end', () => {
    const { life, taken } = noted();
    life.follow(7n, true, false);
    taken();
    life.follow(0n, false, true);
    assert.equal(taken(), []);
  });
});
