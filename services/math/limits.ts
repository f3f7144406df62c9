/** Limits of a math device; past one there is an error that names it. Names as in the ini file. */
export interface MathLimits {
  /** Decimal digits of a result, of an operand, and of all numbers of an expansion together. */
  readonly max_result_digits: number;
  /** Terms of one sum of powers. */
  readonly max_terms: number;
  /** Elements of a list: ranges of a split, operands of a sum, predictions of a blend. */
  readonly max_elements: number;
  /** Bytes of an operand that is content: what is complemented. */
  readonly max_content_bytes: number;
  /** Characters of an expression. */
  readonly max_expression_length: number;
  /** Brackets open at a time in an expression. */
  readonly max_expression_depth: number;
  /** Longest computing time of one task, ms. */
  readonly max_compute_ms: number;
  /** Heap of one worker, bytes. */
  readonly max_worker_memory: number;
  /** Worker processes. */
  readonly workers: number;
  /** Tasks that wait for a worker. */
  readonly max_queued: number;
}

/** What tests and the ini file start from. */
export const DEFAULT_MATH_LIMITS: MathLimits = {
  max_result_digits: 1_000_000,
  max_terms: 10_000_000,
  max_elements: 10_000,
  max_content_bytes: 64 * 1024 ** 2,
  max_expression_length: 10_000,
  max_expression_depth: 200,
  max_compute_ms: 2000,
  max_worker_memory: 256 * 1024 ** 2,
  workers: 2,
  max_queued: 256,
};
