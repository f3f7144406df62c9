import { Joining } from '../../../../controllers/kernel/gossip/joining.js';
import { ManualClock } from '../../../../runtime/clock.js';
import { seededRandom } from '../../../../runtime/seeded-random.js';
import { assert, suite } from '../../../suite.js';

/** A node that looks for others; `alive`: those it has found, `open`: those that answer. */
function looking(given: { listed?: string[]; configured?: string[]; open?: string[] }) {
  const clock = new ManualClock();
  const tried: string[] = [];
  const alone: number[] = [];
  const alive = new Set<string>();
  const listed = [...(given.listed ?? [])];
  const open = new Set(given.open ?? []);
  const joining = new Joining({
    listed: () => listed,
    configured: given.configured ?? [],
    settled: () => alive,
    isAlone: () => alive.size === 0,
    join: (address) => {
      tried.push(address);
      if (!open.has(address)) return Promise.reject(new Error('refused'));
      alive.add(address);
      return Promise.resolve();
    },
    onAlone: (forMs) => alone.push(forMs),
    ...{ clock, random: seededRandom(1) },
  });
  /** Time goes on, and what was asked is answered meanwhile. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(Math.min(100, left));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const take = (): string[] => tried.splice(0);
  return { joining, pass, alone, alive, listed, open, take };
}

suite('joining gossip', (test) => {
  test('a node that is alone tries at most three at once, at once', () => {
    const { joining, take } = looking({ listed: ['a', 'b', 'c', 'd', 'e'] });
    joining.look();
    assert.is(take().length, 3);
    joining.close();
  });

  test('those that do not answer are tried with growing pauses, never in a busy loop', async () => {
    const { joining, pass, take, alone } = looking({ listed: ['a'] });
    joining.look();
    await pass(60_000);
    const { length } = take();
    assert.ok(length >= 6 && length <= 12, `${String(length)} tries in a minute`);
    assert.is(alone.length, 1, 'being alone is told once');
    await pass(60_000);
    assert.ok(take().length <= 6, 'at last four times a minute');
    joining.close();
    await pass(60_000);
    assert.is(take().length, 0);
  });

  test('addresses of the ini file are tried only while it is alone', async () => {
    const { joining, pass, take, open } = looking({ configured: ['seed'], open: ['seed'] });
    joining.look();
    assert.equal(take(), ['seed']);
    open.clear();
    await pass(30_000);
    assert.equal(take(), []);
    joining.close();
  });

  test('who is listed later may join by itself for two seconds, then it is sought', async () => {
    const { joining, pass, take, listed, alive } = looking({});
    alive.add('a');
    joining.look();
    listed.push('b');
    await pass(1500);
    assert.equal(take(), []);
    await pass(1500);
    assert.ok(take().includes('b'));
    joining.close();
  });

  test('who was lost and is still listed is tried until it is there again', async () => {
    const { joining, pass, take, alive, open } = looking({ listed: ['a', 'b'] });
    alive.add('a');
    joining.look();
    await pass(20_000);
    assert.ok(take().every((address) => address === 'b'));
    open.add('b');
    await pass(20_000);
    assert.ok(alive.has('b'));
    take();
    await pass(20_000);
    assert.equal(take(), []);
    joining.close();
  });
});
