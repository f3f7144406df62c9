import { invalidArgument } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { listValue, tensorValue } from '../../protos/values.js';
import type { ArgumentSpec, Arguments, Operation } from '../adaptor.js';
import type { ModelSignature } from './serving.js';
import { checkTensor } from './tensors/data.js';
import { DATATYPES } from './tensors/tensor.js';
import type { NamedTensor } from './tensors/tensor.js';

/** What `cnn.infer` needs of the device. */
export interface TensorModels {
  describe(model: string, version?: number): Promise<{ readonly signature: ModelSignature }>;
  infer(request: {
    readonly model: string;
    readonly version: number;
    readonly inputs: readonly NamedTensor[];
    readonly outputs: readonly string[];
    readonly signal: AbortSignal;
    readonly deadlineMs: number;
  }): Promise<{ readonly outputs: readonly NamedTensor[] }>;
}

/** Tensors through any model, whatever they mean. */
export function inferOperation(models: TensorModels): Operation {
  return {
    spec: {
      name: 'cnn.infer',
      summary: 'what a model makes of tensors: a tensor, or a list of them',
      arguments: [
        {
          name: 'input',
          summary: "a tensor, or a list of them in the order of the model's inputs",
          kinds: ['tensor', 'list'],
          required: true,
        },
        { name: 'model', summary: 'name of the model', kinds: ['text'], required: true },
        VERSION,
        {
          name: 'inputs',
          summary:
            'names of the inputs that the tensors are for; without it in the order of the model',
          kinds: ['list', 'text'],
          required: false,
        },
        {
          name: 'outputs',
          summary:
            'a name: that output as a tensor; a list of names: a list of tensors; without it all outputs, as a tensor where there is one',
          kinds: ['list', 'text'],
          required: false,
        },
      ],
      output: ['tensor', 'list'],
      idempotent: true,
    },
    async perform(args, { signal, budgetMs }) {
      const deadlineMs = Date.now() + budgetMs;
      const [model, version] = [checkName('model', textOf(args, 'model')), versionOf(args)];
      const names = namesOf(args, 'inputs') ?? (await inputNames(models, model, version));
      const inputs = namedTensors(names, tensorsOf(args));
      const outputs = namesOf(args, 'outputs') ?? [];
      const call = { model, version, inputs, outputs, signal, deadlineMs };
      const { outputs: answers } = await models.infer(call);
      const values = answers.map(toValue);
      const [first] = values;
      const isList = args.get('outputs')?.kind?.$case === 'list';
      return values.length === 1 && first && !isList ? first : listValue(values);
    },
  };
}

export const VERSION: ArgumentSpec = {
  name: 'version',
  summary: 'version of the model; without it the pinned one, or else the newest',
  kinds: ['integer'],
  required: false,
};

/** 0 where none is given. */
export function versionOf(args: Arguments): number {
  const kind = args.get('version')?.kind;
  return kind?.$case === 'integer' ? Number(kind.value) : 0;
}

export function textOf(args: Arguments, name: string): string {
  const kind = args.get(name)?.kind;
  return kind?.$case === 'text' ? kind.value : '';
}

async function inputNames(models: TensorModels, model: string, version: number): Promise<string[]> {
  const { signature } = await models.describe(model, version);
  return signature.inputs.map(({ name }) => name);
}

/** One name as text, or several as a list of text; undefined = not given. */
function namesOf(args: Arguments, argument: string): string[] | undefined {
  const kind = args.get(argument)?.kind;
  if (kind?.$case === 'text') return [kind.value];
  if (kind?.$case !== 'list') return undefined;
  return kind.value.values.map((value, index) => {
    if (value.kind?.$case === 'text') return value.kind.value;
    throw invalidArgument(`${argument}[${String(index)}]`, 'is not a name');
  });
}

function tensorsOf(args: Arguments): readonly Value[] {
  const input = args.get('input');
  if (input?.kind?.$case === 'list') return input.kind.value.values;
  return input ? [input] : [];
}

function namedTensors(names: readonly string[], values: readonly Value[]): NamedTensor[] {
  if (names.length !== values.length)
    throw invalidArgument(
      'input',
      `expected ${String(names.length)} tensors, for ${names.join(', ') || 'no input'}; found ${String(values.length)}`,
      'BAD_TENSOR',
    );
  return names.map((name, index) => namedTensor(name, values[index]));
}

function namedTensor(name: string, value: Value | undefined): NamedTensor {
  const field = `input ${name.slice(0, 80)}`;
  const kind = value?.kind;
  if (kind?.$case !== 'tensor') throw invalidArgument(field, 'is not a tensor', 'BAD_TENSOR');
  const { data, shape } = kind.value;
  const datatype = DATATYPES.find((known) => known === kind.value.datatype);
  if (!datatype)
    throw invalidArgument(
      field,
      `${JSON.stringify(kind.value.datatype.slice(0, 80))} is no datatype, expected one of ${DATATYPES.join(', ')}`,
      'BAD_TENSOR',
    );
  const tensor = { name, datatype, shape: shape.map(Number), data };
  checkTensor(tensor, field);
  return tensor;
}

function toValue({ datatype, shape, data }: NamedTensor): Value {
  return tensorValue({ datatype, shape: shape.map(BigInt), data });
}
