import { assert, suite } from '../suite.js';
import {
  decodeRecord,
  encodeRecord,
  orderMembers,
  orderNames,
  parseName,
  planRegistration,
  predecessorOf,
  sameMembers,
} from '../../zookeeper/members.js';
import type { Standing } from '../../zookeeper/members.js';
import { record } from './member-fixture.js';

const ours = 1n;
const theirs = 2n;

function standing(sequence: number, epoch: bigint, owner: bigint): Standing {
  return { name: `m-${String(sequence).padStart(10, '0')}`, sequence, epoch, owner };
}

suite('members', (test) => {
  test('a znode name is the member id and ten digits', () => {
    const table: [string, [string, number] | undefined][] = [
      ['math-1-0000000042', ['math-1', 42]],
      ['a-0000000000-0000000001', ['a-0000000000', 1]],
      ['math-1', undefined],
      ['-0000000001', undefined],
      ['math-000000001', undefined],
    ];
    for (const [name, expected] of table) {
      const parsed = parseName(name);
      assert.equal(parsed && [parsed.id, parsed.sequence], expected, name);
    }
  });

  test('the queue is in order of sequence, whatever the ids', () => {
    const names = ['b-0000000003', 'a-0000000010', 'not a member', 'c-0000000001'];
    assert.equal(
      orderNames(names).map(({ id }) => id),
      ['c', 'b', 'a'],
    );
    assert.is(predecessorOf(names, 'a-0000000010'), 'b-0000000003');
    assert.is(predecessorOf(names, 'b-0000000003'), 'c-0000000001');
    assert.is(predecessorOf(names, 'c-0000000001'), undefined);
  });

  test('a record survives its encoding, and anything else is an explanation', () => {
    assert.equal(decodeRecord(encodeRecord(record('math-1'))), record('math-1'));
    for (const text of ['', '{', 'null', '{"id":"a"}'])
      assert.type(decodeRecord(text), 'string', text);
  });

  test('members stand in order of type and sequence, and are compared by epoch', () => {
    const member = (type: string, sequence: number, epoch: bigint) => ({
      ...record(`${type}-${String(sequence)}`, type),
      sequence,
      epoch,
    });
    const all = [member('b', 2, 5n), member('a', 9, 7n), member('b', 1, 3n)];
    const ordered = orderMembers(all);
    assert.equal(
      ordered.map(({ epoch }) => epoch),
      [7n, 3n, 5n],
    );
    assert.ok(sameMembers(ordered, orderMembers([...all].reverse())));
    assert.not.ok(sameMembers(ordered, ordered.slice(1)));
    assert.not.ok(sameMembers([member('a', 1, 1n)], [member('a', 1, 2n)]));
  });

  const a = standing(1, 10n, theirs);
  const b = standing(2, 20n, ours);
  const c = standing(3, 30n, theirs);
  const d = standing(4, 40n, ours);
  const table: {
    claim: string;
    standings: Standing[];
    last: bigint | undefined;
    remove: string[];
    kind: 'keep' | 'create' | 'yield';
  }[] = [
    { claim: 'nobody is there', standings: [], last: undefined, remove: [], kind: 'create' },
    {
      claim: 'an earlier life',
      standings: [a, c],
      last: undefined,
      remove: [a.name, c.name],
      kind: 'create',
    },
    { claim: 'ours is there', standings: [b], last: 20n, remove: [], kind: 'keep' },
    { claim: 'ours, unknown to us', standings: [b], last: undefined, remove: [], kind: 'keep' },
    { claim: 'ours twice', standings: [d, b], last: undefined, remove: [d.name], kind: 'keep' },
    {
      claim: 'ours and an earlier',
      standings: [a, b],
      last: undefined,
      remove: [a.name],
      kind: 'keep',
    },
    { claim: 'our own lost session', standings: [a], last: 10n, remove: [], kind: 'create' },
    { claim: 'a later life', standings: [c], last: 20n, remove: [], kind: 'yield' },
    { claim: 'ours and a later', standings: [b, c], last: 20n, remove: [b.name], kind: 'yield' },
  ];
  for (const { claim, standings, last, remove, kind } of table)
    test(`plan of a registration: ${claim}`, () => {
      const plan = planRegistration(standings, ours, last);
      assert.is(plan.action.kind, kind);
      assert.equal(plan.remove, remove);
    });
});
