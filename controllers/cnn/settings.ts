import type { z } from 'zod';

import { bytes, integer, section, text } from '../../config/fields.js';

/** Keys of the section of a CNN controller. */
export const settings = section({
  /** Model of calls that name none. */
  default_model: text().default('cats-vs-dogs'),
  /** A folder with more models, NAME/VERSION/{model.onnx,model.json}; relative to the folder of the product. */
  models_path: text().optional(),
  /** Threads for inference; each holds every model. */
  workers: integer(1, 64).default(1),
  /** Bytes of a picture's file. */
  max_image_bytes: bytes(1024, 1024 ** 3).default(16 * 1024 ** 2),
  /** Width times height of a picture. */
  max_image_pixels: integer(1, 2_000_000_000).default(40_000_000),
  /** Longest time for one picture, ms. */
  max_compute_ms: integer(10, 600_000).default(10_000),
  /** Pictures under way at a time; more are refused. */
  max_queued: integer(1, 100_000).default(256),
});

export type CnnSettings = z.output<typeof settings>;
