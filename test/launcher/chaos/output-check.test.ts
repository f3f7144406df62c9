import { status } from '@grpc/grpc-js';

import type { ReadFile } from '../../../launcher/chaos/chaos-calls.js';
import { Experiment } from '../../../launcher/chaos/experiment.js';
import { OutputCheck } from '../../../launcher/chaos/output-check.js';
import type { Output } from '../../../launcher/chaos/output-check.js';
import { sha256Of } from '../../../launcher/chaos/verdict.js';
import { StoredFile } from '../../../protos/gen/fractory/v1/storage.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';
import { StateFolder } from '../state-folder.js';
import { began } from './some-events.js';

const RIGHT = Buffer.from('right');
const never = new AbortController().signal;

/** Files in memory; `broken` can't be read. */
class Files {
  readonly #files: Map<string, ReadFile>;

  constructor(files: Readonly<Record<string, readonly [version: bigint, content: Buffer]>>) {
    this.#files = new Map(
      Object.entries(files).map(([name, [version, content]]) => [
        name,
        { file: StoredFile.fromPartial({ name, version }), content },
      ]),
    );
  }

  get(name: string): Promise<ReadFile | undefined> {
    if (name !== 'broken') return Promise.resolve(this.#files.get(name));
    return Promise.reject(new FractoryError(status.DATA_LOSS, 'DATA_LOSS', 'its hash is wrong'));
  }

  delete(name: string): Promise<void> {
    this.#files.delete(name);
    return Promise.resolve();
  }

  list(): Promise<StoredFile[]> {
    return Promise.resolve([...this.#files.values()].map(({ file }) => file));
  }
}

async function found(files: Files, ...outputs: Output[]): Promise<Record<string, string>> {
  await using state = await StateFolder.create();
  await using experiment = await Experiment.begin(state.path, began);
  const check = new OutputCheck(experiment, files, { keeps: false });
  for (const output of outputs) check.add(output);
  check.finish();
  await check.work(never);
  await check.leftovers('', never);
  return Object.fromEntries(
    experiment.events.flatMap((event) =>
      event.event === 'found' ? [[event.run, event.outcome]] : [],
    ),
  );
}

function output(name: string, was: Output['was'] = 'succeeded'): Output {
  return { run: name, name, expectedSha256: sha256Of(RIGHT), was };
}

suite('what runs have left in storage', (test) => {
  test('a file that was written once and is right is no finding', async () => {
    assert.equal(await found(new Files({ a: [1n, RIGHT] }), output('a')), {});
  });

  test('missing is lost, a second version doubled, other content wrong, unreadable lost', async () => {
    const files = new Files({ twice: [2n, RIGHT], other: [1n, Buffer.from('other')] });
    const outputs = ['missing', 'twice', 'other', 'broken'].map((name) => output(name));
    assert.equal(await found(files, ...outputs), {
      ...{ missing: 'lost', twice: 'doubled', other: 'wrong', broken: 'lost' },
    });
  });

  test('a run that failed may have written, but only the right thing, once', async () => {
    const files = new Files({ fine: [1n, RIGHT], half: [1n, Buffer.from('ri')] });
    const outputs = ['nothing', 'fine', 'half'].map((name) => output(name, 'failed'));
    assert.equal(await found(files, ...outputs), { half: 'wrong' });
  });

  test('what is written behind the end of a run that succeeded is doubled', async () => {
    assert.equal(await found(new Files({ late: [3n, RIGHT] })), { late: 'doubled' });
  });
});
