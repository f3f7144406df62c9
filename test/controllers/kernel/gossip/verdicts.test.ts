import { GossipVerdicts } from '../../../../controllers/kernel/gossip/verdicts.js';
import { assert, suite } from '../../../suite.js';

function verdicts() {
  const heard: string[] = [];
  const all = new GossipVerdicts(({ id, epoch }, state) => {
    heard.push(`${id}@${String(epoch)} ${state}`);
  });
  const take = (): string[] => heard.splice(0);
  return { all, take };
}

const [third, fourth] = [
  { id: 'math-1', epoch: 3n },
  { id: 'math-1', epoch: 4n },
];

suite('verdicts of gossip', (test) => {
  test('a death is told once, and taken back when the process is heard of again', () => {
    const { all, take } = verdicts();
    all.hear('math-1.a', third, 'alive', 0);
    all.hear('math-1.a', third, 'suspect', 1);
    assert.equal(take(), []);
    all.hear('math-1.a', third, 'dead', 2);
    all.hear('math-1.a', third, 'dead', 3);
    assert.equal(take(), ['math-1@3 dead']);
    assert.ok(all.isGone(third));
    all.hear('math-1.a', third, 'alive', 4);
    assert.equal(take(), ['math-1@3 alive']);
    assert.not.ok(all.isGone(third));
  });

  test('a death told of one epoch says nothing about another', () => {
    const { all, take } = verdicts();
    all.hear('math-1.a', third, 'dead', 0);
    assert.ok(all.isGone(third));
    assert.not.ok(all.isGone(fourth));
    all.hear('math-1.b', fourth, 'alive', 1);
    assert.equal(take(), ['math-1@3 dead']);
    assert.ok(all.isGone(third), 'the earlier life stays over');
    all.hear('math-1.b', fourth, 'dead', 2);
    assert.equal(take(), ['math-1@4 dead']);
  });

  test('a process that registers again takes its life along', () => {
    const { all, take } = verdicts();
    all.hear('math-1.a', third, 'alive', 0);
    all.hear('math-1.a', third, 'dead', 1);
    all.hear('math-1.a', fourth, 'alive', 2);
    assert.equal(take(), ['math-1@3 dead', 'math-1@3 alive']);
    all.hear('math-1.a', fourth, 'dead', 3);
    assert.equal(take(), ['math-1@4 dead']);
  });

  test('who says goodbye is gone as well', () => {
    const { all, take } = verdicts();
    all.hear('math-1.a', third, 'left', 0);
    assert.equal(take(), ['math-1@3 left']);
    assert.ok(all.isGone(third));
  });

  test('a life is not gone as long as one process of it lives', () => {
    const { all, take } = verdicts();
    all.hear('math-1.a', third, 'alive', 0);
    all.hear('math-1.b', third, 'dead', 1);
    assert.equal(take(), []);
  });

  test('who is gone is remembered for as long as somebody wants to know of it', () => {
    const { all, take } = verdicts();
    all.hear('math-1.a', third, 'dead', 0);
    all.hear('math-2.a', { id: 'math-2', epoch: 1n }, 'alive', 0);
    take();
    all.forget(() => false);
    assert.is(all.size, 2);
    all.forget(() => true);
    assert.is(all.size, 1, 'who lives is not forgotten');
    assert.equal(take(), ['math-1@3 alive'], 'nobody has to pass over it any more');
  });
});
