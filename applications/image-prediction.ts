import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError, systemCodeOf } from '../runtime/errors.js';
import { cnn, defineApplication, file, optional, sequence, storage, text } from './sdk/index.js';
import { localFileProblem } from './sdk/local-files.js';
import type { DataCenter, FileName, FinishedRun, Prediction, Written } from './sdk/index.js';

/** What a picture turned out to show. */
export interface ImageResult {
  readonly image: string;
  readonly label: string;
  /** 0..1 */
  readonly probability: number;
  /** CLIENT/NAME of the prediction in storage. */
  readonly storedAs: string;
}

/** Classifies a picture that is in storage: read -> predict -> write, node to node. */
export async function predictStored(
  dataCenter: DataCenter,
  picture: FileName,
  model: string | undefined,
): Promise<{ result: ImageResult; run: FinishedRun<Written> }> {
  const prediction = { client: picture.client, name: `${picture.name}.prediction.json` };
  const run = await dataCenter.run(
    sequence(
      storage.read(picture),
      cnn.predict(model === undefined ? {} : { model }),
      storage.write(prediction),
    ),
  );
  // The class comes back out of storage, where the last step has put it.
  const stored = await dataCenter.files.read(prediction);
  const { label, probability } = JSON.parse(stored.toString()) as Prediction;
  const storedAs = `${prediction.client}/${prediction.name}`;
  return { result: { image: picture.name, label, probability, storedAs }, run };
}

/** The name under which a local file is stored: characters that names can't have become `_`. */
export function storedName(file: string): string {
  return path
    .basename(file)
    .replaceAll(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\./, '_');
}

export const application = defineApplication({
  summary: 'Classifies a picture: storage -> CNN -> storage',
  options: {
    image: file('picture, a local file or the name of one in storage'),
    client: text('whose folder in storage', { default: 'admin' }),
    model: optional(text("model; default: the CNN node's own")),
  },
  async run({ options: { image, client, model }, dataCenter, say }) {
    const picture = { client, name: storedName(image) };
    await providePicture(dataCenter, picture, image, say);
    const { result, run } = await predictStored(dataCenter, picture, model);
    return { answer: { results: [result] }, runs: [run] };
  },
});

/** Uploads the picture if it isn't in storage yet. Without a local file the one in storage is taken. */
export async function providePicture(
  dataCenter: DataCenter,
  picture: FileName,
  path: string,
  say: (line: string) => void,
): Promise<void> {
  const name = `${picture.client}/${picture.name}`;
  try {
    const { uploaded } = await dataCenter.files.upload(picture, path);
    say(uploaded ? `uploaded ${path} as ${name}` : `${name} is in storage already`);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw localFileProblem(error, path);
    if (await dataCenter.files.stat(picture)) return;
    throw new FractoryError(
      status.NOT_FOUND,
      'FILE_NOT_FOUND',
      `there is no local file ${path}, and no ${name} in storage`,
    );
  }
}
