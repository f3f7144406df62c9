import type { PixelStoreMemory } from '../data/pixel-store.js';

/** What a thread that makes views starts with. */
export interface AugmentData {
  readonly pixels: PixelStoreMemory;
  /** Where in the store each picture is. */
  readonly slots: Int32Array;
  readonly seed: bigint;
}

/** One batch to make. */
export interface AugmentTask {
  readonly epoch: number;
  readonly size: number;
  readonly gentle: boolean;
  /** Pictures, by their number among those that are learned from. */
  readonly pictures: Int32Array;
  /** Where the batch goes; moves there and back. */
  readonly buffer: ArrayBuffer;
}

/** The buffer of the task, filled. */
export interface AugmentReply {
  readonly buffer: ArrayBuffer;
}
