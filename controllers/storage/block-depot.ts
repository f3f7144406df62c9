import type { Memory } from '../../protos/gen/fractory/v1/value.js';
import { bytesValue } from '../../protos/values.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import type { Clock } from '../../runtime/clock.js';
import { cancelled, FractoryError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { chunksOf } from '../../services/storage/depot.js';
import type {
  ContentSource,
  Deposit,
  DepositOptions,
  Depot,
  KnownExtent,
  OpenContent,
  PlacedContent,
  Placement,
} from '../../services/storage/depot.js';
import { narrow } from '../kernel/capabilities/token.js';
import type { MemoryAccess } from '../kernel/memory/access.js';
import type { BlockCalls } from './block-calls.js';
import { depositCopy, depositStream } from './deposit.js';
import { deviceFull, deviceLost } from './device-failures.js';
import type { Unplaced } from './device-failures.js';
import { ReleasedExtents } from './released-extents.js';
import { SharedOpens } from './shared-opens.js';
import type { SharedOpen } from './shared-opens.js';

export interface BlockDepotOptions {
  /** Member that new content goes to. */
  readonly device: string;
  readonly calls: BlockCalls;
  readonly memory: () => MemoryAccess;
  /** Epoch of a member; undefined while it is not registered. */
  readonly epochOf: (member: string) => bigint | undefined;
  /** How long content that was given up is kept for its readers, at most, ms. */
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How long a stream that passes here may take. */
const READ_MS = 600_000;
const NEVER = new AbortController().signal;

/** Content of files in extents of block devices. Readers get memories of the device; only what has to pass here does. */
export class BlockDepot implements Depot, AsyncDisposable {
  readonly #options: BlockDepotOptions;
  readonly #opens: SharedOpens;
  readonly #released: ReleasedExtents;
  readonly #stopping = new AbortController();

  constructor(options: BlockDepotOptions) {
    this.#options = options;
    const { calls, clock, epochOf, lingerMs, log } = options;
    this.#opens = new SharedOpens({ calls, clock, epochOf });
    this.#released = new ReleasedExtents({
      ...{ clock, lingerMs, log, stopping: this.#stopping.signal },
      usedUntilMs: (placement) => this.#opens.usedUntilMs(placement),
      free: async ({ device, extents }, signal) => {
        await calls.free(device, extents, signal);
      },
    });
  }

  async deposit(source: ContentSource, options: DepositOptions): Promise<Deposit> {
    const { device, calls } = this.#options;
    const extents: string[] = [];
    const sizeBytes = 'memory' in source ? Number(source.memory.sizeBytes) : undefined;
    let placedBytes = 0;
    const scope = new AbortScope(
      ...(options.signal ? [options.signal] : []),
      this.#stopping.signal,
    );
    const { signal } = scope;
    const parts = {
      ...{ device, calls, memory: this.#options.memory(), signal },
      allocate: async (wantedBytes: number) => {
        const unplaced = { what: options.what, sizeBytes, placedBytes, wantedBytes };
        const id = await this.#allocate(unplaced, options.label, signal);
        extents.push(id);
        placedBytes += wantedBytes;
        return id;
      },
    };
    try {
      const stored =
        'memory' in source
          ? await depositCopy(parts, source, options)
          : await depositStream(parts, chunksOf(source), options);
      if (extents.length > 0) await calls.sync(device, extents, signal);
      return { ...stored, placement: { device, extents } };
    } catch (error) {
      await this.#released.freeNow({ device, extents });
      throw error;
    } finally {
      scope.end();
    }
  }

  async open(content: PlacedContent, signal: AbortSignal = NEVER): Promise<OpenContent> {
    const { clock } = this.#options;
    const open = await this.#open(content, clock.now() + READ_MS, signal);
    const endReading = open.read();
    return {
      chunks: () => this.#chunks(content, open, signal),
      [Symbol.asyncDispose]: () => {
        endReading();
        this.#released.readerEnded(content.placement);
        return Promise.resolve();
      },
    };
  }

  async memory(
    content: PlacedContent,
    untilMs: number,
    signal: AbortSignal = NEVER,
  ): Promise<Memory> {
    const open = await this.#open(content, untilMs, signal);
    open.useUntil(untilMs);
    return this.#memoryOf(content, open, untilMs);
  }

  release(placement: Placement): void {
    if (placement.extents.length > 0) this.#released.add(placement);
  }

  extents(prefix: string, signal: AbortSignal): AsyncIterable<readonly KnownExtent[]> {
    return this.#options.calls.list(this.#options.device, prefix, signal);
  }

  async free(extents: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#options.calls.free(this.#options.device, extents, signal);
  }

  /** What still lingers is an orphan from now on: the next start finds it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(cancelled('the node is stopping'));
    await this.#released.close();
  }

  async *#chunks(
    content: PlacedContent,
    first: SharedOpen,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    const untilMs = this.#options.clock.now() + READ_MS;
    for (let open = first; ; open = await this.#open(content, untilMs, signal)) {
      let hasBegun = false;
      try {
        const whole = this.#memoryOf(content, open, untilMs);
        for await (const chunk of this.#options.memory().stream(whole, signal)) {
          hasBegun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        // The device may have begun a new life that we have not heard of.
        if (hasBegun || open !== first || !isOver(error)) throw error;
        this.#opens.forget(content.placement);
      }
    }
  }

  /** A full device gets the room of what only lingers for readers; they are cut off. */
  async #allocate(unplaced: Unplaced, label: string, signal: AbortSignal): Promise<string> {
    const { calls, device } = this.#options;
    const allocate = (): Promise<string> =>
      calls.allocate(device, unplaced.wantedBytes, label, signal);
    try {
      return await allocate().catch(async (error: unknown) => {
        if (!isFull(error) || !(await this.#released.freeAll())) throw error;
        return allocate();
      });
    } catch (error) {
      throw isFull(error) ? deviceFull(device, unplaced, error) : error;
    }
  }

  #open(content: PlacedContent, untilMs: number, signal: AbortSignal): Promise<SharedOpen> {
    const { device } = content.placement;
    const epoch = this.#options.epochOf(device);
    if (epoch === undefined) throw deviceLost(device, 'it is not registered');
    return this.#opens.open(content, untilMs, signal);
  }

  #memoryOf(content: PlacedContent, { capability }: SharedOpen, untilMs: number): Memory {
    return {
      capability: narrow(capability, { expiresAtMs: BigInt(Math.ceil(untilMs)) }),
      sizeBytes: BigInt(content.sizeBytes),
      form: bytesValue(content.mediaType, new Uint8Array()),
      sha256: Buffer.from(content.sha256, 'hex'),
    };
  }
}

const OVER = new Set(['STALE_OWNER', 'CAPABILITY_REVOKED', 'CAPABILITY_FORGED', 'OWNER_LOST']);

function isOver(error: unknown): boolean {
  return error instanceof FractoryError && OVER.has(error.reason);
}

function isFull(error: unknown): error is FractoryError {
  return error instanceof FractoryError && error.reason === 'DEVICE_FULL';
}
