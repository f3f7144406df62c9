import type { Tensor as TensorData } from '../../protos/gen/fractory/v1/value.js';
import { badFlow, step } from './flow/flow.js';
import type { Flow } from './flow/flow.js';
import type {
  Anything,
  Bytes,
  Double,
  Failed,
  Integer,
  Json,
  List,
  Named,
  None,
  Tensor,
  Text,
} from './kinds.js';

/** An integer as a builder takes it. */
type Whole = bigint | number;

/** The exact integer. Throws BAD_FLOW for a number that is none, or too large to be exact. */
function whole(given: Whole | undefined): bigint | undefined {
  if (typeof given !== 'number') return given;
  if (Number.isSafeInteger(given)) return BigInt(given);
  throw badFlow(`integers are bigint: write 5n, not ${String(given)}`);
}

/** A file in storage. */
export interface FileName {
  /** Whose file. */
  readonly client: string;
  readonly name: string;
}

/** What `storage.write` yields. */
export interface Written extends FileName {
  readonly version: number;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** What `cnn.predict` yields. */
export interface Prediction {
  readonly label: string;
  /** 0..1 */
  readonly probability: number;
  /** The most probable first. */
  readonly top: readonly { readonly label: string; readonly probability: number }[];
  readonly model: string;
  readonly version: number;
}

/** What `cnn.inspect` yields: what the header of a picture says. */
export interface PictureFacts {
  readonly format: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
}

/** What `math.blend` yields. */
export interface Blend {
  readonly label: string;
  /** 0..1 */
  readonly probability: number;
  /** The most probable first. */
  readonly top: readonly { readonly label: string; readonly probability: number }[];
  /** What each model said, and what it counts; the weights add up to 1. */
  readonly models: readonly {
    readonly model: string;
    readonly version: number;
    readonly label: string;
    readonly probability: number;
    readonly weight: number;
  }[];
}

/** What `application.explain` yields: a failure as data. */
export interface Explanation {
  readonly failed: true;
  readonly step: string;
  readonly member: string;
  readonly reason: string;
  readonly message: string;
}

/** How `storage.read` reads a file. */
interface Forms {
  readonly bytes: Bytes;
  readonly text: Text;
  readonly integer: Integer;
  readonly json: Json<unknown>;
}

function read(file: FileName): Flow<None, Bytes>;
function read<F extends keyof Forms>(file: FileName & { readonly as: F }): Flow<None, Forms[F]>;
function read(folder: { readonly client: string }): Flow<Text, Bytes>;
function read<F extends keyof Forms>(folder: {
  readonly client: string;
  readonly as: F;
}): Flow<Text, Forms[F]>;
function read({
  client,
  name,
  as,
}: {
  readonly client: string;
  readonly name?: string;
  readonly as?: string;
}): Flow<never, unknown> {
  return step('storage.read', { client, name, as }, 'name');
}

interface FileQuery {
  readonly client?: string;
  readonly prefix?: string;
}

function list(query?: FileQuery): Flow<None, Json<readonly FileName[]>>;
function list(query: FileQuery & { readonly as: 'names' }): Flow<None, List<Text>>;
function list({ client, prefix, as }: FileQuery & { readonly as?: string } = {}): Flow<
  None,
  never
> {
  return step('storage.list', { client, prefix, as });
}

/** Steps of storage nodes. */
export const storage = {
  /** Reads a file: as bytes, or as what `as` says (`text`, `integer`, `json`). Without a name: the one that flows in. */
  read,
  /** Writes what flows in. With `ifVersion`: only if the file has this version now; 0n = only if it doesn't exist. */
  write: ({
    client,
    name,
    ifVersion,
    mediaType,
  }: FileName & { readonly ifVersion?: Whole; readonly mediaType?: string }): Flow<
    Anything,
    Json<Written>
  > => step('storage.write', { client, name, if_version: whole(ifVersion), media_type: mediaType }),
  delete: ({ client, name }: FileName): Flow<None, Json<{ readonly version: number }>> =>
    step('storage.delete', { client, name }),
  /** Files by client and name, as JSON; with `as: 'names'` the names alone, as a list. */
  list,
};

/** The main operand: flows in, or is given as `input`. */
type Operand = Integer | Text;

function factorial(): Flow<Operand, Integer>;
function factorial(args: { readonly input: Whole }): Flow<None, Integer>;
function factorial({ input }: { readonly input?: Whole } = {}): Flow<never, Integer> {
  return step('math.factorial', { input: whole(input) });
}

function shiftLeft(args: { readonly m: Whole }): Flow<Operand, Integer>;
function shiftLeft(args: { readonly input: Whole; readonly m: Whole }): Flow<None, Integer>;
function shiftLeft({
  input,
  m,
}: {
  readonly input?: Whole;
  readonly m: Whole;
}): Flow<never, Integer> {
  return step('math.shift_left', { input: whole(input), m: whole(m) });
}

function add(): Flow<Named<{ input: Operand; by: Operand }>, Integer>;
function add(args: { readonly by: Whole }): Flow<Operand, Integer>;
function add(args: { readonly input: Whole; readonly by: Whole }): Flow<None, Integer>;
function add({ input, by }: { readonly input?: Whole; readonly by?: Whole } = {}): Flow<
  never,
  Integer
> {
  return step('math.add', { input: whole(input), by: whole(by) });
}

function multiply(): Flow<Named<{ input: Operand; by: Operand }>, Integer>;
function multiply(args: { readonly by: Whole }): Flow<Operand, Integer>;
function multiply(args: { readonly input: Whole; readonly by: Whole }): Flow<None, Integer>;
function multiply({ input, by }: { readonly input?: Whole; readonly by?: Whole } = {}): Flow<
  never,
  Integer
> {
  return step('math.multiply', { input: whole(input), by: whole(by) });
}

function binomial(args: { readonly k: Whole }): Flow<Operand, Integer>;
function binomial(args: { readonly input: Whole; readonly k: Whole }): Flow<None, Integer>;
function binomial({
  input,
  k,
}: {
  readonly input?: Whole;
  readonly k: Whole;
}): Flow<never, Integer> {
  return step('math.binomial', { input: whole(input), k: whole(k) });
}

function split(args: { readonly parts: Whole }): Flow<Operand, List<Text>>;
function split(args: { readonly input: Whole; readonly parts: Whole }): Flow<None, List<Text>>;
function split({
  input,
  parts,
}: {
  readonly input?: Whole;
  readonly parts: Whole;
}): Flow<never, List<Text>> {
  return step('math.split', { input: whole(input), parts: whole(parts) });
}

/** What `math.cosine` compares. */
type Vector = Tensor | List<Double> | List<Integer>;
type GivenVector = TensorData | readonly number[];

function cosine(): Flow<Named<{ a: Vector; b: Vector }>, Double>;
function cosine(args: { readonly b: GivenVector }): Flow<Vector, Double>;
function cosine(args: { readonly a: GivenVector; readonly b: GivenVector }): Flow<None, Double>;
function cosine({ a, b }: { readonly a?: GivenVector; readonly b?: GivenVector } = {}): Flow<
  never,
  Double
> {
  return step('math.cosine', { a, b }, 'a');
}

/** Steps of math nodes. Integers are exact at any size: a bigint (`5n`), or a number (`5`) as long as that is exact. */
export const math = {
  /** input! */
  factorial,
  /** input * 2^m */
  shiftLeft,
  /** input + by */
  add,
  /** input * by */
  multiply,
  /** input over k */
  binomial,
  /** 1..input as a list of at most `parts` ranges of equal length, such as `1..50`. */
  split,
  /** The sum of k^exponent for all k in the range that flows in. */
  sumPowers: ({ exponent }: { readonly exponent: Whole }): Flow<Text, Integer> =>
    step('math.sum_powers', { exponent: whole(exponent) }),
  /** The sum of a list of integers, or of what `join` leads in. */
  sum: (): Flow<List<Operand>, Integer> => step('math.sum'),
  /** One prediction from several: the weighted mean of their probabilities. Default: all count the same. */
  blend: (
    options: { readonly weights?: readonly number[] } = {},
  ): Flow<List<Json<Prediction>>, Json<Blend>> =>
    step('math.blend', { weights: options.weights?.join(',') }),
  /** 255 - b for each byte b. */
  complement: (): Flow<Bytes, Bytes> => step('math.complement'),
  /** The cosine of the angle between two vectors of the same length, -1 to 1: what flows in as `a` and `b` by `join(['a', 'b'], math.cosine())`. */
  cosine,
  /** An expression of mathjs in which what flows in is the variable `input`. */
  evaluate: (expression: string): Flow<Operand | Double, Integer | Double | Text> =>
    step('math.evaluate', { expression }),
};

/** A model, and which of its versions; default: the pinned one, or else the newest. */
interface ModelChoice {
  readonly model: string;
  readonly version?: Whole;
}

/** How tensors go through a model. */
interface Inference extends ModelChoice {
  /** Names of the inputs that the tensors are for. Default: the model's, in its order. */
  readonly inputs?: readonly string[];
}

/** One tensor for one input, or a list of them. */
type TensorInput = Tensor | List<Tensor>;
type GivenTensors = TensorData | readonly TensorData[];

/** All outputs: a tensor where the model has one, or else a list. */
function infer(options: Inference): Flow<TensorInput, Tensor | List<Tensor>>;
/** One output. */
function infer(options: Inference & { readonly output: string }): Flow<TensorInput, Tensor>;
/** Some outputs, as a list. */
function infer(
  options: Inference & { readonly outputs: readonly string[] },
): Flow<TensorInput, List<Tensor>>;
function infer(
  options: Inference & { readonly input: GivenTensors; readonly output: string },
): Flow<None, Tensor>;
function infer(
  options: Inference & { readonly input: GivenTensors; readonly outputs: readonly string[] },
): Flow<None, List<Tensor>>;
function infer(
  options: Inference & { readonly input: GivenTensors },
): Flow<None, Tensor | List<Tensor>>;
function infer({
  model,
  version,
  input,
  inputs,
  output,
  outputs,
}: Inference & {
  readonly input?: GivenTensors;
  readonly output?: string;
  readonly outputs?: readonly string[];
}): Flow<never, Tensor | List<Tensor>> {
  return step('cnn.infer', {
    ...{ input, model, version: whole(version), inputs },
    outputs: output ?? outputs,
  });
}

/** Steps of CNN nodes. */
export const cnn = {
  /** The most probable labels of a picture. Default: the node's own model, its newest version, five labels. */
  predict: (
    options: { readonly model?: string; readonly version?: Whole; readonly topK?: Whole } = {},
  ): Flow<Bytes, Json<Prediction>> =>
    step('cnn.predict', {
      model: options.model,
      version: whole(options.version),
      top_k: whole(options.topK),
    }),
  /** A picture as a vector, FP32 [n]: what the layer before the last makes of it. Pictures that the model sees alike have a `math.cosine` near 1. */
  embed: (options: Partial<ModelChoice> = {}): Flow<Bytes, Tensor> =>
    step('cnn.embed', { model: options.model, version: whole(options.version) }),
  /** Tensors through a model, whatever they mean; `output` or `outputs` name what comes out. */
  infer,
  /** What the header of a picture says; no model looks at it. */
  inspect: (): Flow<Bytes, Json<PictureFacts>> => step('cnn.inspect'),
};

/** Steps of application nodes. */
export const applicationNode = {
  /** A failure as data, for reports: the handler of an `onFailure`. */
  explain: (): Flow<Failed, Json<Explanation>> => step('application.explain'),
  /**
   * A list of rows as objects: [{picture, prediction}, ...]. With `by: 'column'` the lists are the columns: what `parallel` or `alongside` yield, for
   * `join`.
   */
  rows: ({
    columns,
    by,
  }: {
    readonly columns: readonly string[];
    readonly by?: 'row' | 'column';
  }): Flow<List<List<Anything>>, Json<readonly Readonly<Record<string, unknown>>[]>> =>
    step('application.rows', { columns: columns.join(','), by }),
};
