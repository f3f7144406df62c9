import type {
  ModelInferResponse,
  ModelInferResponse_InferOutputTensor as OutputMessage,
} from '../../../protos/gen/inference/grpc_service.js';
import type { NamedTensor } from '../../../services/cnn/tensors/tensor.js';
import type { InferCall } from './infer-request.js';
import type { InferenceAnswer } from './served-models.js';
import { isTyped, typedFromRaw } from './typed-contents.js';

/** The answer in the form of the question: raw to raw, typed to typed; raw too where an output has no typed form. */
export function inferResponse(
  { id, wantsRaw }: Pick<InferCall, 'id' | 'wantsRaw'>,
  { model, version, outputs }: InferenceAnswer,
): ModelInferResponse {
  const isRaw = wantsRaw || !outputs.every(({ datatype }) => isTyped(datatype));
  return {
    modelName: model,
    modelVersion: String(version),
    id,
    parameters: {},
    outputs: outputs.map((output) => outputMessage(output, isRaw)),
    rawOutputContents: isRaw ? outputs.map(({ data }) => data) : [],
  };
}

function outputMessage(output: NamedTensor, isRaw: boolean): OutputMessage {
  const { name, datatype, shape } = output;
  const message = { name, datatype, shape: shape.map(BigInt), parameters: {} };
  return isRaw ? message : { ...message, contents: typedFromRaw(output) };
}
