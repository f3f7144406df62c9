import { status } from '@grpc/grpc-js';

import type {
  TrainRequest,
  TrainResponse,
  UploadDataSetRequest,
  UploadDataSetResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import { FractoryError } from '../../runtime/errors.js';
import type { Trainer } from '../../services/cnn/training/trainer.js';
import { clientStream, serverStream } from '../kernel/calls.js';
import type { MethodHandler } from '../kernel/calls.js';
import { train } from './train.js';
import { uploadDataSet } from './upload.js';

/** The methods of `fractory.v1.CnnService` that train. */
export interface TrainingHandlers {
  readonly uploadDataSet: MethodHandler<UploadDataSetRequest, UploadDataSetResponse>;
  readonly train: MethodHandler<TrainRequest, TrainResponse>;
}

/** The methods over a trainer. */
export function trainingHandlers(trainer: Trainer): TrainingHandlers {
  return { uploadDataSet: uploadDataSet(trainer), train: train(trainer) };
}

/** For a node that trains nothing: both methods answer UNIMPLEMENTED. */
export function noTraining(): TrainingHandlers {
  const refuse = (): never => {
    throw new FractoryError(
      status.UNIMPLEMENTED,
      'TRAINING_NOT_AVAILABLE',
      'this node serves models and trains none',
    );
  };
  return {
    uploadDataSet: clientStream<UploadDataSetRequest, UploadDataSetResponse>(refuse),
    train: serverStream<TrainRequest, TrainResponse>(refuse),
  };
}
