/**
 * The template for applications. Copy this file, rename the copy, change the three marked lines, and it runs:
 *
 *     cp applications/template.ts applications/my-app.ts
 *     ./datacenter run my-app --n 20
 *
 * An application composes a graph of steps and hands it to the data center. The nodes then pass control and data straight to
 * each other; the application hears only the end.
 */
import { defineApplication, integer, math, sequence, storage } from './sdk/index.js';

export const application = defineApplication({
  // 1. What `./datacenter apps` says of it.
  summary: 'The template: computes n! and stores it',

  // 2. Its options. `integer`, `text` and `file` read one each; `optional(...)` lets one be missing.
  options: { n: integer('factorial of what', { default: '20' }) },

  async run({ options, dataCenter }) {
    const result = { client: 'template', name: `factorial-of-${String(options.n)}.txt` };

    // 3. The graph: what one step yields flows into the next. An edge that doesn't fit is a compile error: try
    //    `cnn.predict()` after `math.factorial(...)`, then run `npm run types`.
    const graph = sequence(math.factorial({ input: options.n }), storage.write(result));

    // Runs it, hub-free. A step that fails throws an error that says which one, where and why.
    const run = await dataCenter.run(graph);

    // `run.result` is what the last step yielded, typed. The waterfall of `runs` is shown below the answer.
    const stored = await dataCenter.files.read(result);
    return {
      answer: {
        factorial: stored.toString(),
        storedAs: `${run.result.client}/${run.result.name}`,
      },
      runs: [run],
    };
  },
});
