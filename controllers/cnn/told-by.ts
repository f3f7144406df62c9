import { AbortScope } from '../../runtime/abort-scope.js';
import { cancelled } from '../../runtime/errors.js';

/**
 * What a piece of work tells, as a stream that ends as the work does. Whoever stops reading aborts the work and waits for its end; so does `signal`. What is told
 * faster than it is read waits in memory, but for what `supersededBy` names: of those with the same name only the newest waits, at the place where it was told.
 */
export async function* toldBy<T>(
  work: (tell: (news: T) => void, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  supersededBy: (news: T) => string | undefined,
): AsyncGenerator<T, void> {
  const scope = new AbortScope(signal);
  const waiting: T[] = [];
  let wake: () => void = () => undefined;
  const state = { isOver: false };
  const ended = work((news) => {
    const name = supersededBy(news);
    const old = name === undefined ? -1 : waiting.findIndex((one) => supersededBy(one) === name);
    if (old >= 0) waiting.splice(old, 1);
    waiting.push(news);
    wake();
  }, scope.signal).finally(() => {
    state.isOver = true;
    wake();
  });
  ended.catch(() => undefined);
  try {
    for (;;) {
      const news = waiting.shift();
      if (news !== undefined) yield news;
      else if (state.isOver) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    await ended;
  } finally {
    scope.abort(cancelled('nobody listens any more'));
    await ended.catch(() => undefined);
    scope.end();
  }
}
