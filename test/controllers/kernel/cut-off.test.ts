import { CutOff, isMostSilent } from '../../../controllers/kernel/cut-off.js';
import { ManualClock } from '../../../runtime/clock.js';
import type { Reachability } from '../../../runtime/reachability.js';
import { assert, suite } from '../../suite.js';
import { member } from './member-list.js';

/** A dead member is taken out by the coordinator within 1.1 of it, ms. */
const SESSION_MS = 2000;

/** A leader among so many others; `answer` says what each of them is found to be. */
function leader(others: number, answer: (address: string) => Reachability) {
  const clock = new ManualClock();
  const found = { cutOff: 0, probes: 0, matters: true };
  const cutOff = new CutOff({
    others: () =>
      Array.from({ length: others }, (_, index) =>
        member(`math-${String(index)}`, { address: String(index) }),
      ),
    matters: () => found.matters,
    reach: (address) => {
      found.probes++;
      return Promise.resolve(answer(address));
    },
    onCutOff: () => found.cutOff++,
    sessionTimeoutMs: () => SESSION_MS,
    clock,
  });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { cutOff, found, pass };
}

suite('cut off', (test) => {
  test('a leader that reaches most of the others no more for a while is cut off, once', async () => {
    const { cutOff, found, pass } = leader(4, (address) =>
      address === '0' ? 'accepted' : 'silent',
    );
    cutOff.suspect();
    cutOff.suspect();
    await pass(1.1 * SESSION_MS);
    assert.is(found.cutOff, 0);
    await pass(600);
    assert.is(found.cutOff, 1);
    cutOff.suspect();
    await pass(5000);
    assert.is(found.cutOff, 1);
  });

  test('a leader that is told nothing notices by itself that others are silent', async () => {
    let answer: Reachability = 'accepted';
    const { cutOff, found, pass } = leader(4, () => answer);
    cutOff.watch();
    await pass(5000);
    assert.equal([found.cutOff, found.probes], [0, 10]);
    answer = 'silent';
    await pass(500 + 1.15 * SESSION_MS + 500);
    assert.is(found.cutOff, 1);
    cutOff.close();
    const { probes } = found;
    await pass(3000);
    assert.is(found.probes, probes);
  });

  test('one other of many that is silent changes nothing', async () => {
    const { cutOff, found, pass } = leader(4, (address) =>
      address === '0' ? 'silent' : 'accepted',
    );
    cutOff.watch();
    await pass(10_000);
    assert.is(found.cutOff, 0);
    cutOff.close();
  });

  test('a round in which this node itself stood still proves nothing', async () => {
    const clock = new ManualClock();
    let rounds = 0;
    let cutOffs = 0;
    const cutOff = new CutOff({
      others: () => [member('math-2')],
      matters: () => true,
      reach: () => {
        // Its timers end before it has read who answered.
        if (++rounds <= 2) clock.advance(3000);
        return Promise.resolve(rounds <= 2 ? 'silent' : 'accepted');
      },
      onCutOff: () => cutOffs++,
      sessionTimeoutMs: () => SESSION_MS,
      clock,
    });
    cutOff.suspect();
    for (let passed = 0; passed < 20; passed++) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal([rounds, cutOffs], [3, 0]);
  });

  test('half of the others is no majority, and who refuses is within reach', () => {
    assert.is(isMostSilent(['silent', 'accepted']), false);
    assert.is(isMostSilent(['silent', 'refused', 'refused']), false);
    assert.is(isMostSilent(['silent', 'silent', 'accepted']), true);
    assert.is(isMostSilent([]), false);
  });

  test('a break that mends in time ends the probing', async () => {
    let answer: Reachability = 'silent';
    const { cutOff, found, pass } = leader(2, () => answer);
    cutOff.suspect();
    await pass(1000);
    answer = 'accepted';
    await pass(600);
    const { probes } = found;
    await pass(3000);
    assert.equal([found.cutOff, found.probes], [0, probes]);
  });

  test('nobody is probed where it does not matter, and at most eight are asked in a round', async () => {
    const { cutOff, found, pass } = leader(20, () => 'accepted');
    found.matters = false;
    cutOff.suspect();
    await pass(100);
    assert.is(found.probes, 0);
    found.matters = true;
    cutOff.suspect();
    await pass(100);
    assert.is(found.probes, 8);
  });
});
