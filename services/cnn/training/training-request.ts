import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument } from '../../../runtime/errors.js';
import { checkName } from '../../../runtime/names.js';
import { closest } from '../../../runtime/suggestion.js';
import { NETWORK_NAMES } from './engine/networks.js';
import type { NetworkName } from './engine/networks.js';
import type { CheckpointSettings } from './loop/checkpoint.js';
import { SIZE_STEP } from './loop/schedule.js';

/** Where the pictures are. */
export type TrainingData =
  | { readonly kind: 'dataSet'; /** SHA-256 of an uploaded tar, hex. */ readonly dataSet: string }
  | { readonly kind: 'stored'; readonly client: string; readonly prefix: string };

/** A training as it is asked for; 0 and '' = not said. */
export interface TrainingRequest {
  readonly model: string;
  /** May be absent where an interrupted training goes on. */
  readonly data: TrainingData | undefined;
  readonly epochs: number;
  /** Pixels. */
  readonly size: number;
  readonly sampleLimit: number;
  readonly seed: bigint;
  readonly network: string;
  readonly summary: string;
  /** Under which terms the model may be used. */
  readonly license: string;
  /** Where the pictures come from, a sentence. */
  readonly origin: string;
  readonly resume: boolean;
}

const DEFAULT_SIZE = 64;
const MAX_EPOCHS = 10_000;
const SIZES = [32, 160] as const;
/** Of what is written into the card. */
const MAX_TEXT_CHARACTERS = 1000;
const DATA_SET = /^[0-9a-f]{64}$/;

/** Refuses a request that can't be right, whatever there is on the node. */
export function checkRequest(request: TrainingRequest): void {
  const { model, data, epochs, size, network, resume } = request;
  checkName('model', model);
  if (epochs > MAX_EPOCHS)
    throw invalidArgument('epochs', `${String(epochs)} is more than ${String(MAX_EPOCHS)}`);
  const [smallest, largest] = SIZES;
  if (size !== 0 && (size < smallest || size > largest || size % SIZE_STEP !== 0))
    throw invalidArgument(
      'size',
      `${String(size)} is not a multiple of ${String(SIZE_STEP)} from ${String(smallest)} to ${String(largest)}`,
    );
  if (network !== '' && !isNetwork(network)) throw unknownNetwork(network);
  for (const field of ['summary', 'license', 'origin'] as const)
    if (request[field].length > MAX_TEXT_CHARACTERS)
      throw invalidArgument(field, `is longer than ${String(MAX_TEXT_CHARACTERS)} characters`);
  if (data) checkData(data);
  else if (!resume)
    throw invalidArgument('data', 'is missing: give data_set, or stored with client and prefix');
}

/** The settings to train with: those of the request, defaults for the rest; `network` and `epochs` are empty until it is known how many pictures there are. */
export function settingsFor(
  request: TrainingRequest,
): Omit<CheckpointSettings, 'network'> & { readonly network: NetworkName | '' } {
  const { epochs, size, sampleLimit, seed, network, summary, license, origin, data } = request;
  return {
    ...{ epochs, sampleLimit, summary, license, origin, seed: String(seed) },
    size: size || DEFAULT_SIZE,
    network: isNetwork(network) ? network : '',
    data: data ? { ...data } : {},
  };
}

/** Refuses to go on with other settings than those that the training began with. What isn't said doesn't differ. */
export function checkSame(request: TrainingRequest, begun: CheckpointSettings): void {
  const seed = request.seed === 0n ? '' : String(request.seed);
  const pairs = [
    ['epochs', request.epochs, begun.epochs],
    ['size', request.size, begun.size],
    ['sample_limit', request.sampleLimit, begun.sampleLimit],
    ['seed', seed, begun.seed],
    ['network', request.network, begun.network],
  ] as const;
  for (const [key, value, before] of pairs)
    if (value !== 0 && value !== '' && value !== before)
      throw new FractoryError(
        status.FAILED_PRECONDITION,
        'CHECKPOINT_DIFFERS',
        `the training of ${request.model} began with ${key} ${String(before)}, not ${String(value)}: leave it out, or train without resume`,
      );
}

/** The data of a request, or of the checkpoint that it goes on from. */
export function dataOf(
  request: TrainingRequest,
  begun: CheckpointSettings | undefined,
): TrainingData {
  if (request.data) return request.data;
  const { kind = '', dataSet = '', client = '', prefix = '' } = begun?.data ?? {};
  const data: TrainingData =
    kind === 'stored' ? { kind, client, prefix } : { kind: 'dataSet', dataSet };
  checkData(data);
  return data;
}

function checkData(data: TrainingData): void {
  if (data.kind === 'stored') checkName('stored.client', data.client);
  else if (!DATA_SET.test(data.dataSet))
    throw invalidArgument('data_set', 'is not the SHA-256 of an uploaded data set in hex');
}

function isNetwork(name: string): name is NetworkName {
  return NETWORK_NAMES.some((known) => known === name);
}

function unknownNetwork(name: string): FractoryError {
  const near = closest(name, NETWORK_NAMES);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return invalidArgument(
    'network',
    `${JSON.stringify(name)} is none of ${NETWORK_NAMES.join(', ')}${hint}`,
  );
}
