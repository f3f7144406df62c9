import { Stopper } from '../../runtime/stopper.js';
import { assert, rejects, suite } from '../suite.js';

suite('stopper', (test) => {
  test('undoes in reverse order, once', async () => {
    const stopper = new Stopper();
    const seen: string[] = [];
    stopper.add(() => void seen.push('first'));
    stopper.add(async () => {
      await Promise.resolve();
      seen.push('second');
    });
    stopper.use({ [Symbol.asyncDispose]: () => Promise.resolve(void seen.push('third')) });
    assert.is(stopper.stop(), stopper.stop());
    await stopper.stop();
    assert.equal(seen, ['third', 'second', 'first']);
  });

  test('undoes the rest where one throws, and says what went wrong', async () => {
    const stopper = new Stopper();
    let undone = false;
    stopper.add(() => void (undone = true));
    stopper.add(() => {
      throw new Error('one');
    });
    stopper.add(() => Promise.reject(new Error('two')));
    const error = await rejects(stopper.stop(), AggregateError);
    assert.match(error.message, /two; one/);
    assert.ok(undone);
  });

  test('what is added after the stop is undone at once, and may throw', async () => {
    const stopper = new Stopper();
    await stopper.stop();
    let undone = false;
    stopper.add(() => void (undone = true));
    stopper.add(() => {
      throw new Error('one');
    });
    stopper.add(() => Promise.reject(new Error('two')));
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(undone);
  });
});
