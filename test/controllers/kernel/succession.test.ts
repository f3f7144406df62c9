import { Succession, watchedBy } from '../../../controllers/kernel/succession.js';
import type { MemberKey } from '../../../controllers/kernel/directory.js';
import { ManualClock } from '../../../runtime/clock.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { Reachability } from '../../../runtime/reachability.js';
import type { Member } from '../../../zookeeper/coordinator.js';
import { assert, suite } from '../../suite.js';
import { member } from './member-list.js';

const queue = [1, 2, 3].map((sequence) =>
  member(`storage-${String(sequence)}`, { sequence, epoch: BigInt(sequence) }),
);
const [first, second, third] = queue as [Member, Member, Member];

/** storage-2 of three, with neighbours that answer as told. */
function succession(answers: Reachability[], members: Member[] = [...queue]) {
  const clock = new ManualClock();
  const removed: string[] = [];
  const watching = new Map<string, () => void>();
  const parts = {
    ...{ clock, log: silentLogger(), members: () => members },
    coordinator: {
      removeMember: (id: string, instance: string) => {
        removed.push(`${id}/${instance}`);
        return Promise.resolve(true);
      },
    },
    self: () => members.find(({ id }) => id === 'storage-2'),
    watch: ({ id }: MemberKey, listener: () => void) => {
      watching.set(id, listener);
      return () => watching.delete(id);
    },
    reach: () => Promise.resolve(answers.shift() ?? 'silent'),
    onSilent: () => removed.push('silent'),
  };
  const made = new Succession(parts);
  made.follow();
  const breakLink = (id: string): void => {
    const listener = watching.get(id);
    watching.delete(id);
    listener?.();
  };
  return { made, clock, removed, watching, breakLink, members };
}

/** Lets promises settle. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

suite('succession', (test) => {
  test('each watches the one before it, and the first the last', () => {
    assert.is(watchedBy(second, queue), first);
    assert.is(watchedBy(third, queue), second);
    assert.is(watchedBy(first, queue), third);
    assert.is(watchedBy(first, [first, member('math-1')]), undefined);
  });

  test('a neighbour whose link broke and whose address refuses twice is taken out at once', async () => {
    const { clock, removed, watching, breakLink } = succession(['refused', 'refused']);
    assert.equal([...watching.keys()], ['storage-1']);
    breakLink('storage-1');
    await turn();
    assert.equal(removed, []);
    clock.advance(25);
    await turn();
    assert.equal(removed, ['storage-1/storage-1']);
  });

  test('a neighbour that accepts again, or is silent, is left to the session timeout and watched again', async () => {
    for (const answers of [
      ['refused', 'accepted'],
      ['refused', 'silent'],
      ['silent'],
      ['accepted'],
    ] as Reachability[][]) {
      const { clock, removed, watching, breakLink } = succession(answers);
      breakLink('storage-1');
      await turn();
      clock.advance(25);
      await turn();
      assert.equal(removed, ['silent']);
      assert.equal([...watching.keys()], []);
      clock.advance(250);
      assert.equal([...watching.keys()], ['storage-1']);
    }
  });

  test('a neighbour that left by itself meanwhile is not taken out', async () => {
    const { made, clock, removed, watching, breakLink, members } = succession([
      'refused',
      'refused',
    ]);
    breakLink('storage-1');
    await turn();
    members.splice(0, 1);
    made.follow();
    clock.advance(25);
    await turn();
    assert.equal(removed, []);
    assert.equal([...watching.keys()], ['storage-3']);
    made.close();
    assert.equal([...watching.keys()], []);
  });
});
