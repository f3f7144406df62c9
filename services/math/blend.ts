import { invalidArgument } from '../../runtime/errors.js';
import { jsonValue } from '../../protos/values.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { Operation } from '../adaptor.js';
import type { MathLimits } from './limits.js';
import { argument, elementsOf } from './operands.js';

/** A label and how probable it is, 0..1. */
interface Label {
  readonly label: string;
  readonly probability: number;
}

/** What one model says. */
export interface Opinion extends Label {
  readonly top: readonly Label[];
  readonly model: string;
  readonly version: number;
}

/** What several models say together. */
export interface Blend extends Label {
  /** The most probable first. */
  readonly top: readonly Label[];
  /** What each of them said, and what it counts; the weights add up to 1. */
  readonly models: readonly {
    readonly model: string;
    readonly version: number;
    readonly label: string;
    readonly probability: number;
    readonly weight: number;
  }[];
}

const MAX_LABELS = 10_000;
const MAX_OPINION_BYTES = 1024 ** 2;

/** The weighted mean of predictions, label by label. */
export function blendOperation(limits: MathLimits): Operation {
  return {
    spec: {
      name: 'math.blend',
      summary:
        'one prediction from several, the weighted mean of their probabilities, as JSON: {label, probability, top, models}',
      arguments: [
        argument('input', 'predictions, as cnn.predict yields them', { kinds: ['list'] }),
        argument('weights', 'what each counts, such as 2,1; without it all the same', {
          optional: true,
          kinds: ['text'],
        }),
      ],
      output: ['bytes'],
      idempotent: true,
    },
    perform(args) {
      const opinions = elementsOf('input', args.get('input'), limits).map(readOpinion);
      const weights = args.get('weights')?.kind;
      const given = weights?.$case === 'text' ? readWeights(weights.value) : undefined;
      return jsonValue(blend(opinions, given));
    },
  };
}

/** A label that a model does not name counts as improbable there: ask for as many labels as there are. */
export function blend(
  opinions: readonly Opinion[],
  weights: readonly number[] = opinions.map(() => 1),
): Blend {
  if (opinions.length === 0) throw notBlendable('input', 'is an empty list');
  if (weights.length !== opinions.length)
    throw notBlendable(
      'weights',
      `are ${String(weights.length)}, expected ${String(opinions.length)}: one for each prediction`,
    );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0 && Number.isFinite(total))) throw notBlendable('weights', 'add up to nothing');
  const shares = weights.map((weight) => weight / total);
  const sums = new Map<string, number>();
  for (const [index, { top }] of opinions.entries())
    for (const { label, probability } of top)
      sums.set(label, (sums.get(label) ?? 0) + probability * (shares[index] ?? 0));
  const top = [...sums]
    .map(([label, probability]) => ({ label, probability }))
    .sort((one, other) => other.probability - one.probability);
  const [best] = top;
  if (!best) throw notBlendable('input', 'names no label');
  const models = opinions.map(({ model, version, label, probability }, index) => ({
    ...{ model, version, label, probability },
    weight: shares[index] ?? 0,
  }));
  return { ...best, top, models };
}

function readWeights(text: string): number[] {
  return text.split(',').map((part) => {
    const weight = Number(part);
    if (part.trim() !== '' && weight >= 0 && Number.isFinite(weight)) return weight;
    throw notBlendable('weights', `${JSON.stringify(part.slice(0, 40))} is no number from 0 up`);
  });
}

function readOpinion(value: Value, index: number): Opinion {
  const opinion = jsonOf(value);
  if (isOpinion(opinion)) return opinion;
  throw invalidArgument(`input[${String(index)}]`, 'is no prediction', 'NOT_A_PREDICTION');
}

function jsonOf({ kind }: Value): unknown {
  if (kind?.$case !== 'bytes' || kind.value.data.length > MAX_OPINION_BYTES) return undefined;
  try {
    return JSON.parse(Buffer.from(kind.value.data).toString()) as unknown;
  } catch {
    // Not JSON is not a prediction, which is what the caller says.
    return undefined;
  }
}

function isOpinion(data: unknown): data is Opinion {
  if (!isLabel(data)) return false;
  const { top, model, version } = data as Label & Partial<Record<keyof Opinion, unknown>>;
  return (
    typeof model === 'string' &&
    typeof version === 'number' &&
    Array.isArray(top) &&
    top.length <= MAX_LABELS &&
    top.every(isLabel)
  );
}

function isLabel(data: unknown): data is Label {
  if (typeof data !== 'object' || data === null) return false;
  const { label, probability } = data as Partial<Record<keyof Label, unknown>>;
  return (
    typeof label === 'string' &&
    typeof probability === 'number' &&
    probability >= 0 &&
    probability <= 1
  );
}

function notBlendable(field: string, description: string) {
  return invalidArgument(field, description, 'NOT_BLENDABLE');
}
