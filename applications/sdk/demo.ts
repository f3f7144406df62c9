import { predictStored } from '../image-prediction.js';
import type { ImageResult } from '../image-prediction.js';
import type { DataCenter, FinishedRun } from './data-center.js';
import { runLines, table, toJson } from './output.js';
import { paintShape, SHAPES } from './painter.js';

const CLIENT = 'demo';
const SIZE_PX = 160;

export interface DemoOutput {
  readonly data: (line: string) => void;
  readonly say: (line: string) => void;
}

/** Draws a fresh picture of each shape, lets the data center tell which is which, and shows how each run went. */
export async function runDemo(
  dataCenter: DataCenter,
  asJson: boolean,
  { data, say }: DemoOutput,
): Promise<void> {
  const results: ImageResult[] = [];
  const runs: FinishedRun<unknown>[] = [];
  const stamp = Date.now().toString(36);
  for (const shape of SHAPES) {
    const picture = { client: CLIENT, name: `${shape}-${stamp}.png` };
    await dataCenter.files.write(picture, await paintShape(shape, Math.random, SIZE_PX));
    say(`drew a ${shape}: ${picture.client}/${picture.name}`);
    const { result, run } = await predictStored(dataCenter, picture, 'shapes');
    results.push(result);
    runs.push(run);
  }
  if (asJson) {
    data(toJson({ application: 'image-prediction', results }));
    return;
  }
  for (const [index, run] of runs.entries())
    for (const line of [results[index]?.image ?? '', ...runLines(run), '']) data(line);
  for (const line of table(results.map((result) => ({ ...result })))) data(line);
}
