import { createHash } from 'node:crypto';

import type { Card } from '../card.js';
import type { DataSet } from './data/data-set.js';
import type { Checkpoint } from './loop/checkpoint.js';
import { accuracyOf } from './loop/evaluation.js';
import { NORMALISATION } from './normalisation.js';

export interface TrainedFacts {
  readonly model: string;
  readonly checkpoint: Checkpoint;
  readonly data: DataSet;
  readonly weights: number;
}

/** The card of a model that was trained here, but for its version and for what only the served model can tell. */
export function trainedCard(facts: TrainedFacts): Omit<Card, 'version'> {
  const { model, checkpoint, data } = facts;
  const { settings, plan } = checkpoint.head;
  const side = plan.servedSidePx;
  return {
    name: model,
    summary: settings.summary === '' ? `Tells ${listed(data.labels)} apart.` : settings.summary,
    input: {
      ...{ name: 'input', layout: 'NCHW', width: side, height: side, channels: 3 },
      ...{ colorOrder: 'RGB', scale: 255, resize: 'cover' },
      mean: [...NORMALISATION.mean],
      std: [...NORMALISATION.std],
    },
    output: { name: 'logits', activation: 'softmax' },
    labels: [...data.labels],
    sha256: createHash('sha256').update(checkpoint.bestModel).digest('hex'),
    license: stated(settings.license),
    origin: {
      trainedBy: './datacenter train',
      data: stated(settings.origin),
      source: settings.data,
    },
    training: trainingPart(facts),
  };
}

/** Checkpoints of earlier versions don't have all of it. */
function stated(text = ''): string {
  return text === '' ? 'not stated' : text;
}

/** The same card with what the served model answered. */
export function measuredCard(card: Card, confusion: readonly (readonly number[])[]): Card {
  const pictures = confusion.flat().reduce((sum, count) => sum + count, 0);
  if (pictures === 0 || !card.training) return card;
  return {
    ...card,
    accuracy: {
      value: accuracyOf(confusion),
      pictures,
      on: 'the validation pictures, which nothing was learned from but which picked the best epoch',
      measuredWith: 'the served model, asked through the node with the original files',
    },
    training: { ...card.training, confusion: confusion.map((row) => [...row]) },
  };
}

function trainingPart({ checkpoint, data, weights }: TrainedFacts): NonNullable<Card['training']> {
  const { settings, network, plan, done, best } = checkpoint.head;
  return {
    data: {
      ...{ sha256: data.dataHash, split: data.split, sampleLimit: settings.sampleLimit },
      ...{ duplicates: data.duplicates, skipped: data.skipped },
      classes: data.counts.map((count) => ({ ...count })),
    },
    network: {
      ...{ name: network.name, weights },
      ...{ widths: [...network.widths], depths: [...network.depths] },
    },
    ...{ seed: settings.seed, epochs: plan.epochs, bestEpoch: best?.epoch ?? 0, batch: plan.batch },
    ...{ sizes: [...plan.sizes], peakLearningRate: plan.peakLearningRate },
    ...{ momentum: plan.momentum, weightDecay: plan.weightDecay },
    ...{ labelSmoothing: plan.labelSmoothing, averaging: plan.averaging },
    seconds: Math.round(done.reduce((sum, { seconds }) => sum + seconds, 0)),
    curve: done.map(({ trainingLoss, trainingAccuracy, validationLoss, validationAccuracy }) => ({
      ...{ trainingLoss: rounded(trainingLoss), trainingAccuracy: rounded(trainingAccuracy) },
      ...{ validationLoss: rounded(validationLoss), validationAccuracy },
    })),
    confusion: (best?.evaluation.confusion ?? []).map((row) => [...row]),
  };
}

function rounded(value: number): number {
  return Number(value.toFixed(5));
}

function listed(labels: readonly string[]): string {
  const MOST = 8;
  const shown = labels.slice(0, MOST);
  const rest = labels.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${String(rest)} more`;
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1) ?? ''}`;
}
