import { compare } from '../../launcher/gossip-views.js';
import type { GossipAnswer } from '../../launcher/gossip-views.js';
import { memberTable } from '../../launcher/member-status.js';
import { GossipState } from '../../protos/gen/fractory/v1/controller.js';
import { member } from '../controllers/kernel/member-list.js';
import { assert, suite } from '../suite.js';

const all = ['storage-1', 'math-1', 'math-2'].map((id) =>
  member(id, { gossipAddress: '127.0.0.1:7946' }),
);

interface Said {
  readonly state?: GossipState;
  readonly ms?: number;
  readonly epoch?: bigint;
}

/** What a member says: all alive, but for some. */
function answer(from: string, but: Readonly<Record<string, Said | null>> = {}): GossipAnswer {
  const ids = [...new Set([...all.map(({ id }) => id), ...Object.keys(but)])];
  return {
    from,
    members: ids
      .filter((id) => but[id] !== null)
      .map((id) => {
        const { state = GossipState.ALIVE, ms = 0, epoch = 1n } = but[id] ?? {};
        const rest = { type: '', address: '', loadPercent: 0, work: 0 };
        return { id, epoch, state, stateMs: BigInt(ms), ...rest };
      }),
  };
}

const dead = (ms: number): Said => ({ state: GossipState.DEAD, ms });

function differences(...answers: GossipAnswer[]): readonly string[] {
  return compare(all, answers, 'ZooKeeper').differences;
}

suite('what status tells of gossip', (test) => {
  test('where gossip and the coordinator agree there is nothing to say', () => {
    const { words, differences: none } = compare(
      all,
      [answer('storage-1'), answer('math-1')],
      'ZooKeeper',
    );
    assert.equal([...words.values()], ['alive', 'alive', 'alive']);
    assert.equal(none, []);
  });

  test('who is dead by gossip and listed is named, with the time', () => {
    const answers = [
      answer('storage-1', { 'math-2': dead(3100) }),
      answer('math-1', { 'math-2': dead(2900) }),
    ];
    assert.equal(differences(...answers), [
      'gossip holds math-2 dead for 3.1 s, ZooKeeper still lists it',
    ]);
    assert.is(compare(all, answers, 'ZooKeeper').words.get('math-2'), 'dead');
  });

  test('what a member says of itself counts only where nobody else says anything', () => {
    const answers = [answer('storage-1', { 'math-2': dead(500) }), answer('math-2')];
    assert.is(compare(all, answers, 'ZooKeeper').words.get('math-2'), 'dead');
    assert.is(compare(all, [answer('math-2')], 'ZooKeeper').words.get('math-2'), 'alive');
  });

  test('nodes that disagree are named', () => {
    const third = { 'math-2': dead(60_000) };
    const told = differences(answer('storage-1', third), answer('math-1'), answer('cnn-1'));
    assert.equal(told, [
      'nodes disagree about math-2: held dead by storage-1; held alive by math-1, cnn-1',
    ]);
  });

  test('who lives and is not listed, and who is listed and not known, is named', () => {
    const stranger = { 'cnn-1': {}, 'math-2': null };
    assert.equal(differences(answer('storage-1', stranger), answer('math-1', stranger)), [
      'gossip does not know math-2, ZooKeeper lists it',
      'gossip holds cnn-1 alive, ZooKeeper does not list it',
    ]);
  });

  test('a life is known by its epoch', () => {
    const other = { 'math-2': { epoch: 7n } };
    assert.equal(differences(answer('storage-1', other), answer('math-1', other)), [
      'gossip holds math-2 alive in epoch 7, ZooKeeper lists it in epoch 1',
    ]);
  });

  test('where no node answers, that is said', () => {
    assert.equal(differences(), ['no node tells what gossip says']);
  });

  test('the table has a column for it only where nodes gossip', () => {
    const status = {
      ...{ id: 'math-1', type: 'math', address: '127.0.0.1:5000', pid: 7 },
      ...{ leader: true, epoch: '5', state: 'SERVING' as const },
    };
    assert.equal(memberTable([status]).split('\n')[0]?.endsWith('STATE'), true);
    assert.equal(memberTable([{ ...status, gossip: 'suspect' }]).split('\n'), [
      'MEMBER  TYPE  ADDRESS         LEADER  EPOCH  PID  STATE    GOSSIP',
      'math-1  math  127.0.0.1:5000  leader  5      7    SERVING  suspect',
    ]);
  });
});
