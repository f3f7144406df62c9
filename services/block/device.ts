import { randomBytes } from 'node:crypto';
import path from 'node:path';

import { systemClock } from '../../runtime/clock.js';
import type { Clock } from '../../runtime/clock.js';
import { invalidArgument } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { makeFolders } from '../storage/durable.js';
import { BlockContent } from './block-content.js';
import type { ByteRun } from './block-content.js';
import { openDeviceFile } from './device-file.js';
import type { DeviceFileOptions } from './device-file.js';
import { lockDevice } from './device-lock.js';
import { pairsOf } from './extent-table.js';
import type { ExtentRecord } from './extent-table.js';
import { deviceFull, extentNotFound, tooLarge, translate } from './failures.js';
import { MAX_LABEL_CHARACTERS, MIN_PREFIX_CHARACTERS } from './limits.js';
import type { BlockLimits } from './limits.js';
import type { Image } from './image.js';
import type { Journal } from './journal.js';
import { RangeSet } from './range-set.js';
import type { BlockRange } from './range-set.js';

export interface BlockDeviceOptions extends DeviceFileOptions {
  readonly limits: BlockLimits;
  readonly clock?: Clock;
}

/** Blocks that were set aside. */
export interface Extent {
  /** 128 random bits in hex: whoever knows it may open the extent. */
  readonly id: string;
  readonly sizeBytes: number;
  readonly label: string;
}

export interface ExtentPage {
  readonly extents: readonly Extent[];
  /** Empty = this was the last page. */
  readonly nextPageToken: string;
}

export interface DeviceUsage {
  readonly blockBytes: number;
  readonly capacityBytes: number;
  readonly allocatedBytes: number;
  readonly extents: number;
}

interface LiveExtent extends ExtentRecord {
  /** Place in lists; grows. */
  readonly number: number;
  readonly contents: Set<BlockContent>;
  freeing: Promise<void> | undefined;
}

/** Freed blocks are zeroed this long after, so many at a time and with pauses: whoever is working comes first. */
const SCRUB_DELAY_MS = 200;
const SCRUB_PAUSE_MS = 10;
const SCRUB_BYTES = 1024 ** 2;

/**
 * A disk in one file: extents of blocks, set aside and given back durably. Blocks are zero when they are set aside. One process serves a file at a
 * time.
 */
export class BlockDevice {
  readonly #options: BlockDeviceOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #image: Image;
  readonly #journal: Journal;
  readonly #unlock: () => Promise<void>;
  readonly #extents = new Map<string, LiveExtent>();
  /** Invariant: free blocks are in exactly one of these, or in the hands of an allocation or of the scrubbing that is under way. */
  readonly #clean: RangeSet;
  readonly #dirty: RangeSet;
  #nextNumber = 1;
  #scrubbing: Promise<void> | undefined;
  #cancelScrub: (() => void) | undefined;
  #isClosed = false;

  private constructor(
    options: BlockDeviceOptions,
    parts: { image: Image; journal: Journal; unlock: () => Promise<void> },
  ) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log;
    this.#image = parts.image;
    this.#journal = parts.journal;
    this.#unlock = parts.unlock;
    const { table } = parts.journal;
    for (const [id, record] of table.extents) this.#add(id, record);
    this.#dirty = new RangeSet(table.dirty.ranges);
    this.#clean = new RangeSet(table.free.ranges);
    for (const range of table.dirty.ranges) this.#clean.remove(range);
    this.#scrubSoon();
  }

  /** Opens the device file, or makes it. UNAVAILABLE (DEVICE_BUSY) while another process serves it. */
  static async open(options: BlockDeviceOptions): Promise<BlockDevice> {
    const { file, name, limits } = options;
    try {
      await makeFolders(path.dirname(file));
      const unlock = await lockDevice(`${file}.lock`, name, limits.lock_timeout_ms);
      try {
        return new BlockDevice(options, { ...(await openDeviceFile(options)), unlock });
      } catch (error) {
        await unlock();
        throw error;
      }
    } catch (error) {
      throw translate(error, name);
    }
  }

  get limits(): BlockLimits {
    return this.#options.limits;
  }

  /** Sets blocks aside, durably, all of them zero. RESOURCE_EXHAUSTED (DEVICE_FULL, DISK_FULL, or a limit). */
  async allocate(sizeBytes: number, label = ''): Promise<Extent> {
    this.#checkOpen();
    this.#checkAllocation(sizeBytes, label);
    const { blockBytes } = this.#options;
    const taken = await this.#take(Math.ceil(sizeBytes / blockBytes), sizeBytes);
    try {
      await this.#wipe(taken.dirty);
      const ranges = [...taken.clean, ...taken.dirty];
      const id = randomBytes(16).toString('hex');
      await this.#journal.append([{ allocate: { id, label, ranges: pairsOf(ranges) } }]);
      this.#add(id, { label, ranges });
      return { id, label, sizeBytes: this.#bytesOf(ranges) };
    } catch (error) {
      for (const range of taken.clean) this.#clean.add(range);
      for (const range of taken.dirty) this.#dirty.add(range);
      throw error;
    }
  }

  /** The blocks of extents, one after the other, as one content. `sizeBytes` 0 = all of them. Whoever gets it disposes of it. */
  content(ids: readonly string[], sizeBytes = 0): BlockContent {
    this.#checkOpen();
    const extents = this.#find(ids);
    const runs = extents.flatMap(({ ranges }) => ranges.map((range) => this.#runOf(range)));
    const room = runs.reduce((sum, { length }) => sum + length, 0);
    if (sizeBytes > room)
      throw invalidArgument(
        'size_bytes',
        `is ${String(sizeBytes)}, the extents have ${String(room)} bytes`,
      );
    const content = new BlockContent(this.#image, runs, sizeBytes || room, () => {
      for (const { contents } of extents) contents.delete(content);
    });
    for (const { contents } of extents) contents.add(content);
    return content;
  }

  /** Makes what was written to extents durable. */
  async sync(ids: readonly string[]): Promise<void> {
    this.#checkOpen();
    this.#find(ids);
    await this.#image.sync();
  }

  /**
   * Gives extents back, durably; those that don't exist are no error. Contents over them end: nothing of them is read or written from now on, and
   * what is under way is waited for before the blocks can be set aside again.
   */
  async free(ids: readonly string[]): Promise<void> {
    this.#checkOpen();
    this.#checkCount(ids);
    await Promise.all([...new Set(ids)].map((id) => this.#free(id)));
  }

  /** Extents whose label starts with `prefix`, of at least 16 characters, oldest first. Tokens are good as long as the process lives. */
  list(prefix: string, pageToken = ''): ExtentPage {
    this.#checkOpen();
    if (prefix.length < MIN_PREFIX_CHARACTERS)
      throw invalidArgument(
        'label_prefix',
        `has ${String(prefix.length)} characters, at least ${String(MIN_PREFIX_CHARACTERS)} are needed`,
      );
    const after = pageToken === '' ? 0 : Number(pageToken);
    if (!Number.isSafeInteger(after))
      throw invalidArgument('page_token', 'is not one that a list gave', 'BAD_PAGE_TOKEN');
    const extents: Extent[] = [];
    let last = 0;
    for (const [id, { number, label, ranges }] of this.#extents) {
      if (number <= after || !label.startsWith(prefix)) continue;
      if (extents.length === this.limits.max_page_size)
        return { extents, nextPageToken: String(last) };
      extents.push({ id, label, sizeBytes: this.#bytesOf(ranges) });
      last = number;
    }
    return { extents, nextPageToken: '' };
  }

  usage(): DeviceUsage {
    const { blockBytes } = this.#options;
    const { capacityBlocks, free } = this.#journal.table;
    return {
      blockBytes,
      capacityBytes: capacityBlocks * blockBytes,
      allocatedBytes: (capacityBlocks - free.count) * blockBytes,
      extents: this.#journal.table.extents.size,
    };
  }

  /** Resolves when the freed blocks are zero again. For tests. */
  async scrubbed(): Promise<void> {
    while (this.#dirty.count > 0 || this.#scrubbing) await this.#scrub();
  }

  /** Ends all contents and closes the files. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelScrub?.();
    await this.#scrubbing;
    const contents = new Set([...this.#extents.values()].flatMap((one) => [...one.contents]));
    await Promise.all([...contents].map((content) => content.close()));
    await Promise.allSettled([...this.#extents.values()].flatMap(({ freeing }) => freeing ?? []));
    await this.#journal.close();
    await this.#image.close();
    await this.#unlock();
  }

  #free(id: string): Promise<void> {
    const extent = this.#extents.get(id);
    if (!extent) return Promise.resolve();
    extent.freeing ??= this.#release(id, extent).finally(() => {
      extent.freeing = undefined;
    });
    return extent.freeing;
  }

  async #release(id: string, extent: LiveExtent): Promise<void> {
    await Promise.all([...extent.contents].map((content) => content.close()));
    await this.#journal.append([{ free: [id] }]);
    this.#extents.delete(id);
    for (const range of extent.ranges) this.#dirty.add(range);
    this.#scrubSoon();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error(`${this.#options.name} is closed`);
  }

  #checkAllocation(sizeBytes: number, label: string): void {
    const { max_extent_bytes, max_extents } = this.limits;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1)
      throw invalidArgument('size_bytes', `is ${String(sizeBytes)}, at least 1 is needed`);
    if (sizeBytes > max_extent_bytes)
      throw tooLarge('max_extent_bytes', 'the size of an extent', sizeBytes, max_extent_bytes);
    if (this.#extents.size >= max_extents)
      throw tooLarge('max_extents', 'the number of extents', this.#extents.size + 1, max_extents);
    if (label.length > MAX_LABEL_CHARACTERS || !/^[ -~]*$/.test(label))
      throw invalidArgument(
        'label',
        `is not printable ASCII of at most ${String(MAX_LABEL_CHARACTERS)} characters`,
      );
  }

  #checkCount(ids: readonly string[]): void {
    const { max_open_extents: most } = this.limits;
    if (ids.length > most)
      throw tooLarge('max_open_extents', 'the number of extents of one call', ids.length, most);
  }

  #find(ids: readonly string[]): LiveExtent[] {
    if (ids.length === 0) throw invalidArgument('extents', 'are missing');
    this.#checkCount(ids);
    if (new Set(ids).size !== ids.length) throw invalidArgument('extents', 'has one of them twice');
    return ids.map((id) => {
      const extent = this.#extents.get(id);
      if (!extent || extent.freeing) throw extentNotFound(id);
      return extent;
    });
  }

  /** Clean blocks first; dirty ones only if there are no others. */
  async #take(
    count: number,
    sizeBytes: number,
  ): Promise<{ clean: BlockRange[]; dirty: BlockRange[] }> {
    while (this.#scrubbing && this.#clean.count + this.#dirty.count < count) await this.#scrubbing;
    const free = this.#clean.count + this.#dirty.count;
    const { name, blockBytes } = this.#options;
    if (free < count) throw deviceFull(name, sizeBytes, free * blockBytes);
    const clean = this.#clean.take(count);
    const missing = count - clean.reduce((sum, range) => sum + range.count, 0);
    return { clean, dirty: this.#dirty.take(missing) };
  }

  /** Zeroes blocks, durably. */
  async #wipe(ranges: readonly BlockRange[]): Promise<void> {
    if (ranges.length === 0) return;
    for (const range of ranges) {
      const { start, length } = this.#runOf(range);
      await this.#image.zero(start, length);
    }
    await this.#image.sync();
  }

  #scrubSoon(delayMs = SCRUB_DELAY_MS): void {
    if (this.#isClosed || this.#cancelScrub || this.#dirty.count === 0) return;
    this.#cancelScrub = this.#clock.schedule(delayMs, () => {
      this.#cancelScrub = undefined;
      this.#scrub().then(
        () => {
          this.#scrubSoon(SCRUB_PAUSE_MS);
        },
        (error: unknown) => {
          // They stay dirty, and are zeroed when they are set aside.
          this.#log.warn({ err: error }, 'zeroing freed blocks failed');
        },
      );
    });
  }

  /** Zeroes some of the freed blocks. */
  async #scrub(): Promise<void> {
    this.#scrubbing ??= this.#scrubSome().finally(() => {
      this.#scrubbing = undefined;
    });
    await this.#scrubbing;
  }

  async #scrubSome(): Promise<void> {
    const blocks = Math.max(1, Math.floor(SCRUB_BYTES / this.#options.blockBytes));
    const ranges = this.#dirty.take(Math.min(blocks, this.#dirty.count));
    if (ranges.length === 0) return;
    try {
      await this.#wipe(ranges);
      await this.#journal.append([{ clean: pairsOf(ranges) }]);
    } catch (error) {
      for (const range of ranges) this.#dirty.add(range);
      throw error;
    }
    for (const range of ranges) this.#clean.add(range);
  }

  #add(id: string, record: ExtentRecord): void {
    const number = this.#nextNumber++;
    this.#extents.set(id, { ...record, number, contents: new Set(), freeing: undefined });
  }

  #runOf({ start, count }: BlockRange): ByteRun {
    const { blockBytes } = this.#options;
    return { start: start * blockBytes, length: count * blockBytes };
  }

  #bytesOf(ranges: readonly BlockRange[]): number {
    return ranges.reduce((sum, { count }) => sum + count, 0) * this.#options.blockBytes;
  }
}
