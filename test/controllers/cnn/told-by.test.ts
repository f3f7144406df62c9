import { toldBy } from '../../../controllers/cnn/told-by.js';
import { assert, rejects, suite } from '../../suite.js';

const never = new AbortController().signal;

/** Of `a1 a2`, one waits: the newest. */
function letterOf(news: string): string | undefined {
  return /^[a-z]/.exec(news)?.[0];
}

async function collect(stream: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const news of stream) all.push(news);
  return all;
}

suite('what a piece of work tells', (test) => {
  test('arrives in order where it is read as it comes', async () => {
    const work = async (tell: (news: string) => void): Promise<void> => {
      for (const news of ['a1', 'W', 'a2', 'b1', 'a3']) {
        tell(news);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    assert.equal(await collect(toldBy(work, never, letterOf)), ['a1', 'W', 'a2', 'b1', 'a3']);
  });

  test('waits in memory for a slow reader, of what is superseded only the newest', async () => {
    const work = (tell: (news: string) => void): Promise<void> => {
      for (let at = 0; at < 1000; at++) tell(`a${String(at)}`);
      tell('W1');
      for (let at = 0; at < 1000; at++) tell(`b${String(at)}`);
      for (let at = 1000; at < 2000; at++) tell(`a${String(at)}`);
      tell('W2');
      tell('END');
      return Promise.resolve();
    };
    assert.equal(await collect(toldBy(work, never, letterOf)), [
      'W1',
      'b999',
      'a1999',
      'W2',
      'END',
    ]);
  });

  test('ends as the work does, after all that was told', async () => {
    const seen: string[] = [];
    const work = (tell: (news: string) => void): Promise<void> => {
      tell('W');
      return Promise.reject(new RangeError('it broke'));
    };
    const read = async (): Promise<void> => {
      for await (const news of toldBy(work, never, letterOf)) seen.push(news);
    };
    await rejects(read(), RangeError);
    assert.equal(seen, ['W']);
  });
});
