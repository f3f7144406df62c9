import { invalidArgument } from '../runtime/errors.js';
import {
  cnn,
  defineApplication,
  file,
  join,
  math,
  optional,
  parallel,
  sequence,
  storage,
  text,
} from './sdk/index.js';
import type { DataCenter, FileName } from './sdk/index.js';
import { paintShape } from './sdk/painter.js';
import { seededRandom } from '../runtime/seeded-random.js';
import { providePicture, storedName } from './image-prediction.js';

/**
 * Whether two pictures show the same kind of thing: a model makes a vector of each, both at the same time, and a math node compares their directions. After the
 * example application of the FractOS paper (EuroSys 2022), which matches faces.
 */
export const application = defineApplication({
  summary: 'Two pictures become vectors at the same time, math tells how alike they are',
  options: {
    image: optional(
      file('picture, a local file or the name of one in storage; default: one drawn'),
    ),
    other: optional(file('the picture to compare it with')),
    client: text('whose folder in storage', { default: 'admin' }),
    model: optional(text("model; default: the CNN node's own, or `shapes` for drawn pictures")),
    alike: optional(text('from this similarity on they are called alike; default: by model')),
    different: optional(text('below this one they are called different; default: by model')),
  },
  async run({ options, dataCenter, say }) {
    const isDrawn = options.image === undefined && options.other === undefined;
    const model = options.model ?? (isDrawn ? 'shapes' : undefined);
    const limits = readLimits(options, model);
    const [image, other] = isDrawn
      ? await drawnPictures(dataCenter, say)
      : await givenPictures(dataCenter, options, say);

    const embed = cnn.embed(model === undefined ? {} : { model });
    const run = await dataCenter.run(
      sequence(
        parallel(sequence(storage.read(image), embed), sequence(storage.read(other), embed)),
        join(['a', 'b'], math.cosine()),
      ),
    );
    const similarity = run.result;
    const verdict = verdictOf(similarity, limits);
    return {
      answer: {
        answer: `similarity ${similarity.toFixed(2)}: ${verdict}`,
        similarity,
        verdict,
        image: `${image.client}/${image.name}`,
        other: `${other.client}/${other.name}`,
        ...(model === undefined ? {} : { model }),
        limits: `alike from ${String(limits.alike)}, different below ${String(limits.different)}: ${limits.origin}`,
      },
      runs: [run],
    };
  },
});

/** Cosines, -1 to 1. */
interface Limits {
  readonly alike: number;
  readonly different: number;
  /** Where they come from. */
  readonly origin: string;
}

const DEFAULT_MODEL = 'cats-vs-dogs';

/**
 * What separates pictures depends on the model. Measured on pairs of 300 validation photographs and 160 drawn shapes: `cats-vs-dogs` calls 64 % of the pairs of one
 * kind alike and 4 % different, of cat and dog 3 % alike and 81 % different; `shapes` 81 % and 12 %, of two shapes 6 % alike and 38 % different.
 */
const MEASURED: ReadonlyMap<string, readonly [alike: number, different: number]> = new Map([
  [DEFAULT_MODEL, [0.8, 0.5]],
  ['shapes', [0.85, 0.75]],
]);

function readLimits(
  given: { readonly alike: string | undefined; readonly different: string | undefined },
  model = DEFAULT_MODEL,
): Limits {
  const measured = MEASURED.get(model);
  const [usualAlike, usualDifferent] = measured ?? [0.8, 0.5];
  const alike = readCosine('--alike', given.alike, usualAlike);
  const different = readCosine('--different', given.different, usualDifferent);
  if (different > alike)
    throw invalidArgument('--different', `${String(different)} is above --alike, ${String(alike)}`);
  const isGiven = given.alike !== undefined || given.different !== undefined;
  const origin = measured ? `measured for ${model}` : `a guess, nothing was measured for ${model}`;
  return { alike, different, origin: isGiven ? 'as asked for' : origin };
}

function readCosine(flag: string, text: string | undefined, usual: number): number {
  if (text === undefined) return usual;
  const value = text.trim() === '' ? NaN : Number(text);
  if (value >= -1 && value <= 1) return value;
  throw invalidArgument(flag, 'expected a number from -1 to 1, as cosines are');
}

function verdictOf(similarity: number, { alike, different }: Limits): string {
  if (similarity >= alike) return 'alike';
  return similarity < different ? 'different' : 'neither alike nor different';
}

type Pair = readonly [FileName, FileName];

async function givenPictures(
  dataCenter: DataCenter,
  options: {
    readonly image: string | undefined;
    readonly other: string | undefined;
    readonly client: string;
  },
  say: (line: string) => void,
): Promise<Pair> {
  const { image, other, client } = options;
  if (image === undefined) throw invalidArgument('--image', 'is missing: --other needs it');
  if (other === undefined) throw invalidArgument('--other', 'is missing: --image needs it');
  const one = { client, name: storedName(image) };
  const name = storedName(other);
  // Files of the same name in two folders are two pictures.
  const isClash = name === one.name && other !== image;
  const two = { client, name: isClash ? `other-${name}` : name };
  await providePicture(dataCenter, one, image, say);
  await providePicture(dataCenter, two, other, say);
  return [one, two];
}

/** Two stars, so that there is something to compare at once. */
async function drawnPictures(dataCenter: DataCenter, say: (line: string) => void): Promise<Pair> {
  const pair = [
    { client: 'demo', name: 'star-1.png' },
    { client: 'demo', name: 'star-2.png' },
  ] as const;
  const random = seededRandom(7);
  for (const picture of pair)
    await dataCenter.files.write(picture, await paintShape('star', random));
  say('drew two stars: demo/star-1.png and demo/star-2.png; --image FILE --other FILE takes yours');
  return pair;
}
