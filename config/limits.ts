import type { z } from 'zod';

import { bytes, integer, section } from './fields.js';

/**
 * Section `[Limits]`: every limit that the kernel enforces. Past a limit there is an error that names it. Limits of a device
 * stand in the device's own section.
 */
export const limitsSection = section({
  /** Largest value that travels inside an invocation, bytes. */
  inline_limit_bytes: bytes(1024, 32 * 1024 ** 2).default(16 * 1024 ** 2),
  /** Steps of one graph. */
  max_steps: integer(1, 100_000).default(1024),
  /** Encoded size of a graph, bytes. */
  max_graph_bytes: bytes(1024, 64 * 1024 ** 2).default(4 * 1024 ** 2),
  /** Invocations on one path: stops continuation loops. */
  max_hops: integer(1, 100_000).default(2048),
  /** Caveats of one capability. */
  max_caveats: integer(1, 1024).default(16),
  /** Invocations that one node holds at a time, running and waiting. */
  max_invocations: integer(1, 1_000_000).default(4096),
  /** Runs that an application node has under way at a time. */
  max_runs: integer(1, 1_000_000).default(1024),
  /** Ended runs that an application node remembers. */
  max_remembered_runs: integer(1, 1_000_000).default(1000),
  /** Results of steps that a node remembers, for runs that are tried again. */
  max_remembered_results: integer(0, 1_000_000).default(1024),
  /** Bytes of those results. */
  max_remembered_bytes: bytes(0, 1024 ** 3).default(32 * 1024 ** 2),
  /** Budget of a run or call that names none, ms. */
  default_budget_ms: integer(1, 86_400_000).default(30_000),
  /** Longest budget that may be asked for, ms. */
  max_budget_ms: integer(1, 86_400_000).default(600_000),
  /** How long a stopping node waits for what it has admitted, ms. */
  shutdown_grace_ms: integer(0, 600_000).default(5000),
});

/** Limits in force; names as in the ini file, units last. */
export type Limits = z.output<typeof limitsSection>;
