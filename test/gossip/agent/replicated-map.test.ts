import {
  decodeAll,
  decodeEntry,
  encodeEntry,
  MAX_ENTRIES,
  ReplicatedMap,
} from '../../../gossip/agent/replicated-map.js';
import { isLater } from '../../../gossip/agent/hybrid-time.js';
import type { MapEntry } from '../../../gossip/agent/replicated-map.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

/** What comes of all steps. */
function whole<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

suite('a replicated map', (test) => {
  test('the writer holds what others will read: half a pair of surrogates is one unknown character', () => {
    const writer = new ReplicatedMap('a', () => 1_000_000);
    const written = writer.set('key', 'x\ud800y');
    assert.equal(decodeEntry(encodeEntry(written)), written);
    assert.is(writer.get('key'), 'x\ufffdy');
  });

  test('who wrote last wins, in whichever order members hear of it', () => {
    const random = seededRandom(4);
    let nowMs = 1_000_000;
    const writers = ['a', 'b', 'c'].map((name) => new ReplicatedMap(name, () => nowMs));
    const entries: MapEntry[] = [];
    for (let round = 0; round < 60; round++) {
      nowMs += Math.floor(random() * 2);
      const writer = writers[round % 3]!;
      const key = `key-${String(round % 4)}`;
      entries.push(writer.set(key, `value ${String(round)}`));
      const gone = round % 7 === 0 ? writer.delete(key) : undefined;
      if (gone) entries.push(gone);
    }
    const ends = new Set<string>();
    for (let order = 0; order < 50; order++) {
      const reader = new ReplicatedMap('reader', () => nowMs);
      const shuffled = entries
        .map((entry) => ({ entry, at: random() }))
        .sort((x, y) => x.at - y.at);
      for (const { entry } of shuffled) reader.merge(decodeEntry(encodeEntry(entry)));
      ends.add(JSON.stringify([0, 1, 2, 3].map((key) => reader.get(`key-${String(key)}`))));
    }
    assert.is(ends.size, 1);
  });

  test('a write after another was heard of wins, though the own clock is behind', () => {
    const [ahead, behind] = [
      new ReplicatedMap('a', () => 50_000),
      new ReplicatedMap('b', () => 10),
    ];
    behind.merge(ahead.set('k', 'first'));
    assert.ok(ahead.merge(behind.set('k', 'second')));
    assert.is(ahead.get('k'), 'second');
  });

  test('what comes from far ahead is refused, or it would win for long', () => {
    const [wrong, map] = [
      new ReplicatedMap('w', () => 10_000_000),
      new ReplicatedMap('m', () => 0),
    ];
    const ahead = wrong.set('k', 'from the future');
    assert.throws(() => {
      map.merge(ahead);
    }, /10000000 ms, at most 60000/);
    assert.is(map.get('k'), undefined);
    // Of an exchange the others count, and who hears of it is told.
    const late = new ReplicatedMap('l', () => 0);
    map.set('mine', 'v');
    wrong.merge(map.set('mine', 'v'));
    assert.throws(() => {
      whole(late.mergingAll(whole(wrong.encodingAll())));
    }, /at most 60000/);
    assert.is(late.get('mine'), 'v');
  });

  test('after an entry with the last count of a millisecond the next one is as good as any', () => {
    const map = new ReplicatedMap('a', () => 1000);
    const last = { ms: 1000, count: 2 ** 32 - 1, by: 'b' };
    map.merge({ key: 'forged', value: '', deleted: false, ...last });
    const next = map.set('k', 'v');
    assert.ok(new ReplicatedMap('c', () => 1000).merge(decodeEntry(encodeEntry(next))));
    assert.ok(isLater(next, last));
    const late = new ReplicatedMap('l', () => 1000);
    whole(late.mergingAll(whole(map.encodingAll())));
    assert.is(late.get('k'), 'v');
  });

  test('who comes late gets all, and nothing that was deleted', () => {
    const map = new ReplicatedMap('a');
    map.set('k', 'v');
    map.set('gone', 'v');
    map.delete('gone');
    const late = new ReplicatedMap('b');
    for (const entry of decodeAll(whole(map.encodingAll()))) late.merge(entry);
    assert.is(late.get('k'), 'v');
    assert.is(late.get('gone'), undefined);
    assert.is(late.size, 1);
    assert.is(map.delete('gone'), undefined);
  });

  test('keys and values that can not be are refused with what is expected', () => {
    const map = new ReplicatedMap('a');
    assert.throws(() => map.set('', 'v'), /expected 1 to 128/);
    assert.throws(() => map.set('with space', 'v'), /expected 1 to 128/);
    assert.throws(() => map.set('k', 'x'.repeat(769)), /has 769 bytes, at most 768/);
  });

  test('what was deleted long ago makes place for new keys, what was deleted lately does not', () => {
    let nowMs = 1_000_000;
    const map = new ReplicatedMap('a', () => nowMs);
    for (let at = 0; at < MAX_ENTRIES; at++) map.set(`k${String(at)}`, '');
    map.delete('k0');
    assert.throws(() => map.set('new', 'v'), /the limit max_entries is 10000/);
    nowMs += 3_600_001;
    map.set('new', 'v');
    assert.is(map.get('new'), 'v');
    assert.is(map.get('k0'), undefined);
    assert.throws(() => map.set('another', 'v'), /max_entries/);
  });
});
