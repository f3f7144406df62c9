import type {
  TrainingEpoch,
  TrainRequest,
  TrainResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import type { EpochRecord } from '../../services/cnn/training/loop/epoch-record.js';
import type { Trainer } from '../../services/cnn/training/trainer.js';
import type { TrainingEvent } from '../../services/cnn/training/training-event.js';
import type {
  TrainingData,
  TrainingRequest,
} from '../../services/cnn/training/training-request.js';
import { serverStream } from '../kernel/calls.js';
import type { MethodHandler } from '../kernel/calls.js';
import { toldBy } from './told-by.js';

/** `Train`: goes on for as long as its caller listens; whoever goes away ends it, with the checkpoint kept. */
export function train(trainer: Trainer): MethodHandler<TrainRequest, TrainResponse> {
  return serverStream(
    (request: TrainRequest, { signal }) =>
      toldBy<TrainResponse>(
        (tell, ending) =>
          trainer.train(requestOf(request), {
            signal: ending,
            tell: (event) => {
              tell({ event: messageOf(event) });
            },
          }),
        signal,
        passing,
      ),
    { endsItself: true, isStanding: true },
  );
}

/** How far it is: whoever reads slowly misses steps, but no warning, epoch or end. */
function passing({ event }: TrainResponse): string | undefined {
  return event?.$case === 'reading' || event?.$case === 'progress' ? event.$case : undefined;
}

function requestOf(request: TrainRequest): TrainingRequest {
  const { model, epochs, size, sampleLimit, seed, resume, network, data } = request;
  const { summary, license, origin } = request;
  return {
    ...{ model, epochs, size, sampleLimit, seed, resume, network, summary, license, origin },
    data: dataOf(data),
  };
}

function dataOf(data: TrainRequest['data']): TrainingData | undefined {
  switch (data?.$case) {
    case 'dataSet':
      return { kind: 'dataSet', dataSet: data.value };
    case 'stored':
      return { kind: 'stored', client: data.value.client, prefix: data.value.prefix };
    case undefined:
      return undefined;
  }
}

function messageOf(event: TrainingEvent): NonNullable<TrainResponse['event']> {
  switch (event.kind) {
    case 'reading':
      return {
        $case: 'reading',
        value: { files: BigInt(event.files), of: BigInt(event.of) },
      };
    case 'skipped':
      return { $case: 'skipped', value: { name: event.name, reason: event.reason } };
    case 'started':
      return { $case: 'started', value: startedMessage(event) };
    case 'progress': {
      const { epoch, step, loss, accuracy, imagesPerSecond, etaSeconds } = event;
      return {
        $case: 'progress',
        value: { epoch, step, loss, accuracy, imagesPerSecond, etaSeconds },
      };
    }
    case 'epoch':
      return { $case: 'epoch', value: epochMessage(event) };
    case 'finished':
      return { $case: 'finished', value: finishedMessage(event) };
  }
}

type Message<C> =
  Extract<NonNullable<TrainResponse['event']>, { $case: C }> extends {
    value: infer V;
  }
    ? V
    : never;

function startedMessage(event: Extract<TrainingEvent, { kind: 'started' }>): Message<'started'> {
  const { epochs, stepsPerEpoch, batch, weights, network } = event;
  return {
    ...{ epochs, stepsPerEpoch, batch, weights: BigInt(weights), network },
    classes: event.classes.map(({ label, training, validation }) => ({
      ...{ label, training: BigInt(training), validation: BigInt(validation) },
    })),
    done: event.done.map(epochMessage),
    skipped: BigInt(event.skipped),
    duplicates: BigInt(event.duplicates),
  };
}

function finishedMessage(event: Extract<TrainingEvent, { kind: 'finished' }>): Message<'finished'> {
  const { model, version, accuracy, labels, seconds, sha256, sizeBytes } = event;
  return {
    ...{ model, version, accuracy, seconds, sha256 },
    labels: [...labels],
    sizeBytes: BigInt(sizeBytes),
    confusion: event.confusion.map((row) => ({ counts: row.map(BigInt) })),
  };
}

function epochMessage(record: EpochRecord): TrainingEpoch {
  const { epoch, trainingLoss, trainingAccuracy, validationLoss, validationAccuracy } = record;
  const { seconds, best } = record;
  return {
    ...{ epoch, trainingLoss, trainingAccuracy, validationLoss, validationAccuracy },
    ...{ seconds, best },
  };
}
