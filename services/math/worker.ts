import { createRequire } from 'node:module';
import { Script } from 'node:vm';

import { serveTasks } from '../../runtime/worker-tasks.js';
import { ExpressionEvaluator } from './expression.js';
import type { Mathjs } from './expression.js';
import { compute } from './tasks.js';
import type { MathJob } from './tasks.js';

/** The pool ends a worker that takes too long. One whose node was killed ends by itself, this long after the limit. */
const GRACE_MS = 2000;

// The bundle loads in a tenth of a second and 75 MB; the same library file by file takes seven times as long and 140 MB.
const mathjs = createRequire(import.meta.url)('mathjs/lib/browser/math.js') as Mathjs;
const evaluator = new ExpressionEvaluator(mathjs);
const bounded = new Script('runMathJob()');

function perform({ task, limits }: MathJob): unknown {
  const job = (): unknown =>
    task.kind === 'evaluate'
      ? evaluator.evaluate(task.expression, task.variables, limits)
      : compute(task, limits);
  Object.assign(globalThis, { runMathJob: job });
  return bounded.runInThisContext({ timeout: limits.max_compute_ms + GRACE_MS });
}

await serveTasks<MathJob, unknown>(() => Promise.resolve(perform));
