import { step } from './flow.js';
import type { Flow } from './flow.js';
import type { Anything, Bytes, Double, Integer, Json, None, Text } from './kinds.js';

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

/** How `storage.read` reads a file. */
interface Forms {
  readonly bytes: Bytes;
  readonly text: Text;
  readonly integer: Integer;
  readonly json: Json<unknown>;
}

function read(file: FileName): Flow<None, Bytes>;
function read<F extends keyof Forms>(file: FileName & { readonly as: F }): Flow<None, Forms[F]>;
function read({ client, name, as }: FileName & { readonly as?: string }): Flow<None, unknown> {
  return step('storage.read', { client, name, as });
}

/** Steps of storage nodes. */
export const storage = {
  /** Reads a file: as bytes, or as what `as` says (`text`, `integer`, `json`). */
  read,
  /** Writes what flows in. With `ifVersion`: only if the file has this version now; 0n = only if it doesn't exist. */
  write: ({
    client,
    name,
    ifVersion,
    mediaType,
  }: FileName & { readonly ifVersion?: bigint; readonly mediaType?: string }): Flow<
    Anything,
    Json<Written>
  > => step('storage.write', { client, name, if_version: ifVersion, media_type: mediaType }),
  delete: ({ client, name }: FileName): Flow<None, Json<{ readonly version: number }>> =>
    step('storage.delete', { client, name }),
  list: (
    query: { readonly client?: string; readonly prefix?: string } = {},
  ): Flow<None, Json<readonly FileName[]>> =>
    step('storage.list', { client: query.client, prefix: query.prefix }),
};

/** The main operand: flows in, or is given as `input`. */
type Operand = Integer | Text;

function factorial(): Flow<Operand, Integer>;
function factorial(args: { readonly input: bigint }): Flow<None, Integer>;
function factorial({ input }: { readonly input?: bigint } = {}): Flow<never, Integer> {
  return step('math.factorial', { input });
}

function shiftLeft(args: { readonly m: bigint }): Flow<Operand, Integer>;
function shiftLeft(args: { readonly input: bigint; readonly m: bigint }): Flow<None, Integer>;
function shiftLeft({
  input,
  m,
}: {
  readonly input?: bigint;
  readonly m: bigint;
}): Flow<never, Integer> {
  return step('math.shift_left', { input, m });
}

function add(args: { readonly by: bigint }): Flow<Operand, Integer>;
function add(args: { readonly input: bigint; readonly by: bigint }): Flow<None, Integer>;
function add({
  input,
  by,
}: {
  readonly input?: bigint;
  readonly by: bigint;
}): Flow<never, Integer> {
  return step('math.add', { input, by });
}

function multiply(args: { readonly by: bigint }): Flow<Operand, Integer>;
function multiply(args: { readonly input: bigint; readonly by: bigint }): Flow<None, Integer>;
function multiply({
  input,
  by,
}: {
  readonly input?: bigint;
  readonly by: bigint;
}): Flow<never, Integer> {
  return step('math.multiply', { input, by });
}

function binomial(args: { readonly k: bigint }): Flow<Operand, Integer>;
function binomial(args: { readonly input: bigint; readonly k: bigint }): Flow<None, Integer>;
function binomial({
  input,
  k,
}: {
  readonly input?: bigint;
  readonly k: bigint;
}): Flow<never, Integer> {
  return step('math.binomial', { input, k });
}

/** Steps of math nodes. Integers are exact at any size. */
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
  /** An expression of mathjs in which what flows in is the variable `input`. */
  evaluate: (expression: string): Flow<Operand | Double, Integer | Double | Text> =>
    step('math.evaluate', { expression }),
};

/** Steps of CNN nodes. */
export const cnn = {
  /** The most probable labels of a picture. Default: the node's own model, its newest version, five labels. */
  predict: (
    options: { readonly model?: string; readonly version?: bigint; readonly topK?: bigint } = {},
  ): Flow<Bytes, Json<Prediction>> =>
    step('cnn.predict', {
      model: options.model,
      version: options.version,
      top_k: options.topK,
    }),
};
