import { status } from '@grpc/grpc-js';

import type {
  InferParameter,
  ModelInferRequest,
  ModelInferRequest_InferInputTensor as InputMessage,
} from '../../../protos/gen/inference/grpc_service.js';
import { FractoryError, invalidArgument } from '../../../runtime/errors.js';
import { closest } from '../../../runtime/suggestion.js';
import { checkTensor } from '../../../services/cnn/tensors/data.js';
import { DATATYPES } from '../../../services/cnn/tensors/tensor.js';
import type { Datatype, NamedTensor } from '../../../services/cnn/tensors/tensor.js';
import { hasElements, rawFromTyped } from './typed-contents.js';

/** A request to infer, checked as far as that goes without the model. */
export interface InferCall {
  readonly model: string;
  /** 0 = the server chooses. */
  readonly version: number;
  /** The caller's own, echoed. */
  readonly id: string;
  readonly inputs: readonly NamedTensor[];
  /** Names; empty = all. */
  readonly outputs: readonly string[];
  /** The answer shall have raw contents. */
  readonly wantsRaw: boolean;
  /** What the caller gives it, ms; undefined = as long as the call lasts. */
  readonly timeoutMs: number | undefined;
}

/** Of what a caller wrote, the part that an error tells. */
const SHOWN = 80;

type Parameters = Readonly<Record<string, InferParameter>>;

/**
 * Reads a request by the rules of the protocol. Throws INVALID_ARGUMENT with the field that is wrong. Parameters that change what the answer means are
 * refused; all others are for servers that know them, and passed over.
 */
export function readInferRequest(request: ModelInferRequest): InferCall {
  const { modelName, modelVersion, id, parameters } = request;
  const isRaw = request.rawInputContents.length > 0;
  return {
    model: readModelName('model_name', modelName),
    version: readVersion('model_version', modelVersion),
    id,
    inputs: isRaw ? rawInputs(request) : typedInputs(request),
    outputs: requestedOutputs(request),
    wantsRaw: boolParameter(parameters, 'binary_data_output') ?? isRaw,
    timeoutMs: timeoutOf(parameters),
  };
}

export function readModelName(field: string, name: string): string {
  if (name !== '') return name;
  throw invalidArgument(field, 'is empty, expected the name of a model');
}

/** Versions are whole numbers from 1 up, as text. */
export function readVersion(field: string, version: string | undefined): number {
  if (version === undefined || version === '') return 0;
  if (/^[1-9][0-9]{0,8}$/.test(version)) return Number(version);
  throw invalidArgument(
    field,
    `expected a whole number from 1 up, or nothing for the default, found ${JSON.stringify(version.slice(0, 40))}`,
  );
}

function rawInputs({ inputs, rawInputContents }: ModelInferRequest): NamedTensor[] {
  if (rawInputContents.length !== inputs.length)
    throw invalidArgument(
      'raw_input_contents',
      `expected one for each of the ${String(inputs.length)} inputs, found ${String(rawInputContents.length)}`,
      'BAD_TENSOR',
    );
  const typed = inputs.findIndex(({ contents }) => hasElements(contents));
  if (typed >= 0)
    throw invalidArgument(
      `inputs[${String(typed)}].contents`,
      'has elements although raw_input_contents is there; give one or the other for all inputs',
      'BAD_TENSOR',
    );
  return readInputs(inputs, (_input, _datatype, _field, index) => {
    const data = rawInputContents[index];
    if (!data) throw new Error('there is one for each input');
    return data;
  });
}

function typedInputs({ inputs }: ModelInferRequest): NamedTensor[] {
  return readInputs(inputs, ({ contents }, datatype, field) =>
    rawFromTyped(datatype, contents, field),
  );
}

function readInputs(
  inputs: readonly InputMessage[],
  dataOf: (input: InputMessage, datatype: Datatype, field: string, index: number) => Uint8Array,
): NamedTensor[] {
  const names = new Set<string>();
  return inputs.map((input, index) => {
    const { name, parameters, shape } = input;
    const place = `inputs[${String(index)}]`;
    if (name === '') throw invalidArgument(`${place}.name`, 'is empty');
    const field = `inputs[${name.slice(0, SHOWN)}]`;
    if (names.has(name)) throw invalidArgument(field, 'is there twice', 'BAD_TENSOR');
    names.add(name);
    refuse(parameters, ['shared_memory_region'], field);
    const datatype = readDatatype(input.datatype, field);
    const data = dataOf(input, datatype, field, index);
    const tensor = { name, datatype, shape: shape.map(Number), data };
    checkTensor(tensor, field);
    return tensor;
  });
}

function readDatatype(text: string, field: string): Datatype {
  const known = DATATYPES.find((datatype) => datatype === text);
  if (known) return known;
  const shown = text.slice(0, SHOWN);
  const near = closest(shown, DATATYPES);
  const hint =
    near === undefined ? `expected one of ${DATATYPES.join(', ')}` : `did you mean ${near}?`;
  throw invalidArgument(field, `${JSON.stringify(shown)} is no datatype; ${hint}`, 'BAD_TENSOR');
}

function requestedOutputs({ outputs }: ModelInferRequest): string[] {
  const names = new Set<string>();
  for (const [index, { name, parameters }] of outputs.entries()) {
    if (name === '') throw invalidArgument(`outputs[${String(index)}].name`, 'is empty');
    const field = `outputs[${name.slice(0, SHOWN)}]`;
    if (names.has(name)) throw invalidArgument(field, 'is asked for twice', 'BAD_TENSOR');
    names.add(name);
    refuse(parameters, ['shared_memory_region', 'classification'], field);
  }
  return [...names];
}

/** Extensions that this server doesn't have, and without which the answer would not be what was asked for. */
function refuse(parameters: Parameters, names: readonly string[], field: string): void {
  const given = names.find((name) => Object.hasOwn(parameters, name));
  if (given !== undefined)
    throw new FractoryError(
      status.UNIMPLEMENTED,
      'UNSUPPORTED_PARAMETER',
      `${field}: this server does not have the extension of the parameter ${given}`,
    );
}

function boolParameter(parameters: Parameters, name: string): boolean | undefined {
  if (!Object.hasOwn(parameters, name)) return undefined;
  const choice = parameters[name]?.parameterChoice;
  if (choice?.$case === 'boolParam') return choice.value;
  throw invalidArgument(`parameters.${name}`, 'expected a bool_param');
}

/** Triton's parameter: microseconds, 0 = none. */
function timeoutOf(parameters: Parameters): number | undefined {
  if (!Object.hasOwn(parameters, 'timeout')) return undefined;
  const choice = parameters['timeout']?.parameterChoice;
  const isInteger = choice?.$case === 'int64Param' || choice?.$case === 'uint64Param';
  if (!isInteger || choice.value < 0n)
    throw invalidArgument(
      'parameters.timeout',
      'expected microseconds as an int64_param, 0 or more',
    );
  return choice.value === 0n ? undefined : Number(choice.value) / 1000;
}
