import type { z } from 'zod';

import { bytes, integer, section } from '../../config/fields.js';

/** Keys of the section of a math controller. */
export const settings = section({
  /** Decimal digits of operands and results. */
  max_result_digits: integer(10, 100_000_000).default(1_000_000),
  /** Terms of one sum of powers. */
  max_terms: integer(1, 1_000_000_000_000).default(10_000_000),
  /** Elements of a list: ranges of a split, operands of a sum, predictions of a blend. */
  max_elements: integer(1, 1_000_000).default(10_000),
  /** Content that is complemented. */
  max_content_bytes: bytes(1024, 4 * 1024 ** 3).default(64 * 1024 ** 2),
  /** Characters of an expression. */
  max_expression_length: integer(1, 1_000_000).default(10_000),
  /** Brackets open at a time in an expression. */
  max_expression_depth: integer(1, 1000).default(200),
  /** Longest computing time of one call, ms. */
  max_compute_ms: integer(10, 600_000).default(2000),
  /** Heap of one worker process. */
  max_worker_memory: bytes(64 * 1024 ** 2, 64 * 1024 ** 3).default(256 * 1024 ** 2),
  /** Worker processes for large numbers and expressions; each starts at its first need. */
  workers: integer(1, 64).default(2),
  /** Calls that wait for a worker; more are refused. */
  max_queued: integer(0, 100_000).default(256),
});

export type MathSettings = z.output<typeof settings>;
