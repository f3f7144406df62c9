import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import {
  alongside,
  applicationNode,
  cnn,
  defineApplication,
  file,
  integer,
  join,
  map,
  onFailure,
  optional,
  sequence,
  storage,
  text,
} from './sdk/index.js';
import type { DataCenter, Explanation, FileName, Prediction } from './sdk/index.js';
import { FractoryError, invalidArgument } from '../runtime/errors.js';
import { storedName } from './image-prediction.js';
import { localFileProblem } from './sdk/local-files.js';

/** One line of the report. */
interface Row {
  readonly picture: string;
  readonly prediction: Prediction | Explanation;
}

const COLUMNS = ['picture', 'prediction'] as const;
const MAX_PARALLELISM = 64n;
/** Names of what the CNN nodes can read; storage also holds the results of other applications. */
const PICTURE_NAME = /\.(jpe?g|png|gif|webp|tiff?|avif)$/i;

/** The whole gallery in one graph. A picture that can't be read or understood gets a line that says why; the others don't notice. */
function galleryGraph(
  {
    client,
    prefix,
    model,
  }: { client: string; prefix: string | undefined; model: string | undefined },
  parallelism: number,
  report: FileName,
) {
  const classify = sequence(
    storage.read({ client }),
    cnn.predict(model === undefined ? {} : { model }),
  );
  const names = storage.list({ client, as: 'names', ...(prefix === undefined ? {} : { prefix }) });
  return sequence(
    names,
    alongside(map(onFailure(classify, applicationNode.explain()), { parallelism })),
    join(applicationNode.rows({ columns: COLUMNS, by: 'column' })),
    storage.write(report),
  );
}

export const application = defineApplication({
  summary: 'Classifies all pictures of a client in parallel and writes one report',
  options: {
    client: text('whose pictures', { default: 'admin' }),
    prefix: optional(text('only names that start with this; default: all pictures of the client')),
    images: optional(
      file(
        'a local folder: its pictures are uploaded first; all of the client are classified, and the report is about these alone',
      ),
    ),
    model: optional(text("model; default: the CNN node's own")),
    parallelism: integer('pictures under way at a time', { default: '8' }),
  },
  async run({ options: { client, prefix, images, model, parallelism }, dataCenter, say }) {
    if (parallelism < 1n || parallelism > MAX_PARALLELISM)
      throw invalidArgument(
        '--parallelism',
        `expected 1 to ${String(MAX_PARALLELISM)}, found ${String(parallelism)}`,
      );
    const asked =
      images === undefined ? undefined : await uploadAll(dataCenter, client, images, say);
    // Of a client of its own: the next report is not about this one.
    const report = { client: 'image-gallery', name: `${client}.json` };
    const graph = galleryGraph({ client, prefix, model }, Number(parallelism), report);
    const run = await dataCenter.run(graph);

    const all = JSON.parse((await dataCenter.files.read(report)).toString()) as readonly Row[];
    const mine = all.filter(({ picture }) => asked?.has(picture) ?? true);
    // What another application has left here is no picture that failed.
    const rows = mine.filter(
      ({ picture, prediction }) => PICTURE_NAME.test(picture) || !('failed' in prediction),
    );
    checkRows(rows, client, prefix);
    const failed = rows.filter(({ prediction }) => 'failed' in prediction);
    const others = all.length - rows.length;
    if (others > 0) {
      const why = asked ? `not of ${images ?? ''}, or no pictures` : 'no pictures';
      say(`left out ${String(others)} files of ${client} that are ${why}`);
      await dataCenter.files.write(report, JSON.stringify(rows));
    }
    return {
      answer: {
        pictures: rows.length,
        failed: failed.length,
        storedAs: `${report.client}/${report.name}`,
        results: rows.map(resultOf),
      },
      runs: [run],
    };
  },
});

/** Throws where there was nothing to classify, or where one thing is wrong with all: that is no matter of single pictures. */
function checkRows(rows: readonly Row[], client: string, prefix: string | undefined): void {
  if (rows.length === 0) {
    const named = prefix === undefined ? '' : ` with a name that starts with ${prefix}`;
    throw new FractoryError(
      status.NOT_FOUND,
      'NO_PICTURES',
      `storage has no picture of ${client}${named}; --images FOLDER uploads those of a folder`,
    );
  }
  const failures = rows.flatMap(({ prediction }) => ('failed' in prediction ? [prediction] : []));
  const [first] = failures;
  if (!first || failures.length < rows.length) return;
  if (failures.some(({ reason }) => reason !== first.reason)) return;
  throw new FractoryError(
    first.reason === 'MODEL_NOT_FOUND' ? status.NOT_FOUND : status.FAILED_PRECONDITION,
    first.reason,
    `no picture of ${client} could be classified, ${String(rows.length)} failed: ${first.message}`,
  );
}

function resultOf({ picture, prediction }: Row): Record<string, unknown> {
  if ('failed' in prediction)
    return { picture, reason: prediction.reason, problem: prediction.message };
  const { label, probability } = prediction;
  return { picture, label, probability };
}

/** Uploads the pictures of a folder, and returns their names in storage; what that has already stays. NOT_FOUND where the folder has none. */
async function uploadAll(
  dataCenter: DataCenter,
  client: string,
  folder: string,
  say: (line: string) => void,
): Promise<ReadonlySet<string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw localFileProblem(error, folder);
  });
  const files = entries
    .filter((entry) => entry.isFile() && PICTURE_NAME.test(entry.name))
    .map(({ name }) => name);
  if (files.length === 0)
    throw new FractoryError(
      status.NOT_FOUND,
      'NO_PICTURES',
      `${folder} has no picture: no file there ends in .jpg, .png, .gif, .webp, .tif or .avif`,
    );
  let uploads = 0;
  for (const name of files) {
    const stored = { client, name: storedName(name) };
    if ((await dataCenter.files.upload(stored, path.join(folder, name))).uploaded) uploads++;
  }
  const others = files.length - uploads;
  say(`uploaded ${String(uploads)} pictures, ${String(others)} are in storage already`);
  return new Set(files.map((name) => storedName(name)));
}
