import { KeptMembers } from '../../../gossip/net/kept-members.js';
import type { RemoteMember } from '../../../gossip/wire/push-pull.js';
import { assert, suite } from '../../suite.js';

const states = ['alive', 'suspect', 'dead', 'left'] as const;

/** With tags of all lengths, so that members are shorter and longer than what pieces and slabs keep free. */
const member = (at: number): RemoteMember => ({
  ...{ name: `m\u00e9mber-${String(at)}`, incarnation: at, state: states[at % 4]!, port: 1 + at },
  address: new Uint8Array(at % 3 ? 4 : 16).fill(at),
  meta: new Uint8Array(at % 513).fill(at),
  versions: Uint8Array.of(1, 5, 2, at % 2, 5, 5),
});

suite('members that are kept while the rest is heard', (test) => {
  test('come out as they went in, in their order, as often as they are asked for', () => {
    const kept = new KeptMembers();
    const all = Array.from({ length: 2000 }, (_, at) => member(at));
    for (const one of all) kept.add(one);
    assert.is(kept.size, 2000);
    for (let time = 0; time < 2; time++) {
      const found = [...kept];
      assert.is(found.length, 2000);
      for (const [at, one] of found.entries()) assert.equal({ ...one }, all[at]);
    }
  });

  test('what is kept of one keeps no more than half a kilobyte of others', () => {
    const kept = new KeptMembers();
    for (let at = 0; at < 2000; at++) kept.add(member(at));
    for (const { address, meta } of kept)
      for (const bytes of [address, meta]) assert.ok(bytes.buffer.byteLength <= 512);
  });

  test('of nobody there is nothing', () => {
    assert.equal([...new KeptMembers()], []);
  });
});
