import { HOLD_OFF_MS, StandingIn, VALID_MS } from '../../../controllers/kernel/standing-in.js';
import type { FellowAnswer } from '../../../controllers/kernel/standing-in.js';
import { ManualClock } from '../../../runtime/clock.js';
import { assert, suite } from '../../suite.js';
import { member } from './member-list.js';

/** A leader without its coordinator, and what its fellows say. */
function leader(answers: () => FellowAnswer[]) {
  const clock = new ManualClock();
  const wanted = { now: true, rounds: 0 };
  const standingIn = new StandingIn({
    fellows: () => answers().map((_, index) => member(`storage-${String(index + 2)}`)),
    ask: ({ id }) => Promise.resolve(answers()[Number(id.at(-1)) - 2] ?? 'silent'),
    onRound: () => wanted.rounds++,
    clock,
  });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const holds = (): boolean => clock.monotonicMs() < standingIn.untilMs;
  return { clock, standingIn, wanted, pass, holds };
}

suite('standing in', (test) => {
  test('a leader goes on while all its fellows are cut off from the coordinator, or have ended', async () => {
    const { standingIn, wanted, pass, holds } = leader(() => ['cut-off', 'gone']);
    assert.is(holds(), false);
    standingIn.begin(() => wanted.now);
    await pass(3000);
    assert.ok(holds());
  });

  test('it goes on alone', async () => {
    const { standingIn, wanted, pass, holds } = leader(() => []);
    standingIn.begin(() => wanted.now);
    await pass(3000);
    assert.ok(holds());
  });

  test('it ends as soon as one of them reaches the coordinator, or says nothing', async () => {
    for (const answer of ['coordinated', 'silent'] as const) {
      let answers: FellowAnswer[] = ['cut-off', 'cut-off'];
      const { standingIn, wanted, pass, holds } = leader(() => answers);
      standingIn.begin(() => wanted.now);
      await pass(1000);
      assert.ok(holds());
      answers = ['cut-off', answer];
      await pass(250);
      assert.is(holds(), false);
    }
  });

  test('what was found holds for less than others wait before they lead', async () => {
    const { clock, standingIn, wanted, pass, holds } = leader(() => ['cut-off']);
    standingIn.begin(() => wanted.now);
    await pass(50);
    const untilMs = standingIn.untilMs;
    wanted.now = false;
    await pass(VALID_MS + 50);
    assert.is(holds(), false);
    assert.is(standingIn.untilMs, untilMs);
    assert.ok(untilMs <= clock.monotonicMs());
    const [held, valid]: number[] = [HOLD_OFF_MS, VALID_MS];
    assert.ok(Number(held) > Number(valid));
    const { rounds } = wanted;
    await pass(2000);
    assert.is(wanted.rounds, rounds);
  });
});
