import { readFile } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import type { LabelProbability } from '../../protos/gen/fractory/v1/cnn.js';
import { backoffMs } from '../../runtime/backoff.js';
import { sleep } from '../../runtime/deadline.js';
import { deadlineExceeded, FractoryError, unavailable } from '../../runtime/errors.js';
import { ByteBudget } from './byte-budget.js';
import { isPassing } from './members.js';
import type { CnnMember, CnnMembers } from './members.js';
import type { ModelReference } from './model-reference.js';
import { fileProblem } from './picture-files.js';
import type { FoundPicture } from './picture-files.js';
import { Turns } from './turns.js';

/** Failures that no file is to blame for: every other would fail alike at that member. */
const OF_MODEL: ReadonlySet<string> = new Set([
  ...['MODEL_NOT_FOUND', 'MODEL_CORRUPT', 'MODEL_UNLOADED', 'NO_CARD', 'MODELS_TOO_LARGE'],
]);

/** What became of one file. */
export type Answer =
  | {
      readonly file: string;
      /** The most probable first; at least one. */
      readonly labels: readonly LabelProbability[];
      readonly model: string;
      readonly version: number;
      readonly member: string;
    }
  | { readonly file: string; readonly error: FractoryError };

/** Largest picture that a member takes. */
export interface SizeLimit {
  readonly bytes: number;
  /** Whose and which: `max_image_bytes of cnn-1`. */
  readonly name: string;
}

export interface PredictorOptions {
  /** Absent = the nodes' default model. */
  readonly model: ModelReference | undefined;
  readonly topK: number;
  readonly sizeLimit: SizeLimit;
  readonly signal: AbortSignal;
  /** Longest time for one file, ms. Default 60,000. */
  readonly fileTimeoutMs?: number;
  /** After so long without any answer from any member the data center counts as dead, ms. Default 15,000. */
  readonly patienceMs?: number;
}

const FILE_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 30_000;
const PATIENCE_MS = 15_000;
/** Content of files that is held at a time. */
const HELD_BYTES = 128 * 1024 * 1024;

/**
 * Asks the CNN members about files. A file's own failure is its answer; a member that is busy or gone is asked again, or another one, until the file's
 * time is over. Throws only where no member answers any more, or none has the model.
 */
export class Predictor {
  readonly #members: Pick<CnnMembers, 'list' | 'predict'>;
  readonly #options: Required<PredictorOptions>;
  readonly #turns = new Turns();
  /** Addresses of members that can't answer for the model. */
  readonly #unfit = new Set<string>();
  readonly #budget = new ByteBudget(HELD_BYTES);
  #heardAtMs = performance.now();

  constructor(members: Pick<CnnMembers, 'list' | 'predict'>, options: PredictorOptions) {
    this.#members = members;
    this.#options = { fileTimeoutMs: FILE_TIMEOUT_MS, patienceMs: PATIENCE_MS, ...options };
  }

  async answer(picture: FoundPicture): Promise<Answer> {
    if ('error' in picture) return picture;
    const { file, sizeBytes } = picture;
    const { sizeLimit } = this.#options;
    if (sizeBytes > sizeLimit.bytes) return { file, error: tooLarge(file, sizeBytes, sizeLimit) };
    return this.#budget.hold(sizeBytes, () => this.#read(file));
  }

  async #read(file: string): Promise<Answer> {
    let image: Uint8Array;
    try {
      this.#options.signal.throwIfAborted();
      image = await readFile(file, { signal: this.#options.signal });
    } catch (error) {
      if (this.#options.signal.aborted) throw error;
      return { file, error: fileProblem(error, file) };
    }
    return this.#ask(file, image);
  }

  /** Asks until there is an answer that stays. */
  async #ask(file: string, image: Uint8Array): Promise<Answer> {
    const { signal, fileTimeoutMs } = this.#options;
    const untilMs = performance.now() + fileTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      const leftMs = untilMs - performance.now();
      const outcome = await this.#try(file, image, Math.min(CALL_TIMEOUT_MS, leftMs));
      if (!('error' in outcome)) return outcome;
      signal.throwIfAborted();
      const { error } = outcome;
      if (!isPassing(error) && !isSilence(error) && !OF_MODEL.has(error.reason)) return outcome;
      const waitMs = Math.max(backoffMs(attempt), Math.min(error.retryAfterMs ?? 0, leftMs / 2));
      if (performance.now() + waitMs >= untilMs)
        return { file, error: givenUp(error, fileTimeoutMs) };
      await sleep(waitMs, signal);
    }
  }

  async #try(file: string, image: Uint8Array, timeoutMs: number): Promise<Answer> {
    const fit = this.#members.list().filter(({ address }) => !this.#unfit.has(address));
    const member = this.#turns.begin(fit);
    if (!member) {
      const error = unavailable('NO_CNN_NODE', 'no CNN node is registered any more');
      this.#checkAlive(error);
      return { file, error };
    }
    let heard = true;
    try {
      return await this.#call(member, file, image, timeoutMs);
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      heard = !isGone(error) && !isSilence(error);
      if (!heard && !this.#options.signal.aborted) this.#checkAlive(error);
      if (OF_MODEL.has(error.reason)) this.#leaveOut(member, error);
      return { file, error };
    } finally {
      if (heard) this.#heardAtMs = performance.now();
      this.#turns.end(member, heard);
    }
  }

  async #call(
    member: CnnMember,
    file: string,
    image: Uint8Array,
    timeoutMs: number,
  ): Promise<Answer> {
    const { model: reference, topK, signal } = this.#options;
    const { labels, model, version } = await this.#members.predict(
      member,
      {
        source: { $case: 'image', value: image },
        model: reference?.name ?? '',
        version: reference?.version ?? 0,
        topK,
      },
      { timeoutMs, signal },
    );
    return { file, labels, model, version, member: member.id };
  }

  /** Throws if nobody else has the model. */
  #leaveOut({ address }: CnnMember, error: FractoryError): void {
    this.#unfit.add(address);
    if (this.#members.list().every((member) => this.#unfit.has(member.address))) throw error;
  }

  #checkAlive(error: FractoryError): void {
    const silentMs = performance.now() - this.#heardAtMs;
    if (silentMs < this.#options.patienceMs) return;
    throw unavailable(
      'DATA_CENTER_GONE',
      `no CNN node has answered for ${String(Math.round(silentMs / 1000))} s (${error.message}); ./datacenter status shows who is there`,
      { cause: error },
    );
  }
}

function isGone({ code }: FractoryError): boolean {
  return code === status.UNAVAILABLE || code === status.CANCELLED;
}

/** The deadline of the call has come; where the node found that the work is too much, it names the limit. */
function isSilence({ reason, metadata }: FractoryError): boolean {
  return reason === 'DEADLINE_EXCEEDED' && metadata['limit'] === undefined;
}

function tooLarge(file: string, sizeBytes: number, limit: SizeLimit): FractoryError {
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'IMAGE_TOO_LARGE',
    `${file} has ${String(sizeBytes)} bytes, the limit ${limit.name} is ${String(limit.bytes)}`,
  );
}

function givenUp(error: FractoryError, afterMs: number): FractoryError {
  const text = `given up after ${String(Math.round(afterMs / 1000))} s: ${error.message}`;
  return isSilence(error)
    ? deadlineExceeded(text)
    : new FractoryError(error.code, error.reason, text, { cause: error });
}
