import type { z } from 'zod';

import { bytes, integer, section } from './fields.js';

/**
 * Section `[Limits]`: every limit that the kernel enforces. Past a limit there is an error that names it. Limits of a device
 * stand in the device's own section.
 */
export const limitsSection = section({
  /** Largest value that travels inside an invocation, bytes; above, its producer keeps it and its consumer pulls it. */
  inline_limit_bytes: bytes(1024, 4 * 1024 ** 2).default(64 * 1024),
  /** What one step may pull into memory, all its arguments together, bytes; arguments that it streams don't count. */
  max_pulled_bytes: bytes(1024, 4 * 1024 ** 3).default(64 * 1024 ** 2),
  /** Elements of a list that a map goes through. */
  max_map_items: integer(1, 1_000_000).default(10_000),
  /** Receipts that a run collects; steps beyond leave none. */
  max_receipts: integer(1, 1_000_000).default(4096),
  /** Steps of one graph. */
  max_steps: integer(1, 100_000).default(1024),
  /** Encoded size of a graph, bytes. */
  max_graph_bytes: bytes(1024, 64 * 1024 ** 2).default(4 * 1024 ** 2),
  /** Invocations on one path: stops continuation loops. */
  max_hops: integer(1, 100_000).default(2048),
  /** Caveats of one capability. */
  max_caveats: integer(1, 1024).default(16),
  /** Derived capabilities that one node keeps in its revocation tree. */
  max_tree_nodes: integer(0, 10_000_000).default(65_536),
  /** Watches of capabilities that one node answers at a time. */
  max_watches: integer(0, 1_000_000).default(4096),
  /** Connections to a node's gRPC port at a time: one more, and the one that has been without a call for the longest is closed. */
  max_connections: integer(16, 1_000_000).default(2048),
  /** Calls open at a time on one connection. */
  max_connection_calls: integer(16, 1_000_000).default(1000),
  /** Calls open at a time on all connections to a node, those too whose request has not come yet. */
  max_open_calls: integer(16, 10_000_000).default(16_384),
  /**
   * Largest request in one message, bytes: as objects it can be fifty times as large. Pictures and tensors have limits of
   * their own; where a device's `max_chunk_bytes` is raised above this, so is this.
   */
  max_request_bytes: bytes(1024 ** 2, 64 * 1024 ** 2).default(5 * 1024 ** 2),
  /** Bytes of the metadata of one call. */
  max_metadata_bytes: bytes(8192, 1024 ** 2).default(32 * 1024),
  /** Bytes that calls hold while they wait: messages half received or not yet read, answers not yet taken. Past it those that hold most are ended. */
  max_transit_bytes: bytes(64 * 1024 ** 2, 1024 ** 4).default(512 * 1024 ** 2),
  /** Invocations that one node holds at a time, running and waiting. */
  max_invocations: integer(1, 1_000_000).default(4096),
  /** Runs that an application node has under way at a time; how many it lets in follows from how long they take. */
  max_runs: integer(1, 1_000_000).default(1024),
  /** Runs that wait for their turn there, for a moment each; more are refused. */
  max_waiting_runs: integer(0, 1_000_000).default(256),
  /** Largest result that a run hands to its client, bytes; what is larger must be stored. */
  max_result_bytes: bytes(1024, 32 * 1024 ** 2).default(16 * 1024 ** 2),
  /** Ended runs that an application node remembers. */
  max_remembered_runs: integer(1, 1_000_000).default(1000),
  /** How long the end of a durable run is kept in storage at most, ms. Beyond `max_remembered_runs` the oldest go after a minute. */
  durable_run_age_ms: integer(60_000, 2_592_000_000).default(3_600_000),
  /** Results of steps that a node remembers, for runs that are tried again. */
  max_remembered_results: integer(0, 1_000_000).default(1024),
  /** Bytes of those results; on an application node also of the ended runs that it remembers: results, graphs and receipts. */
  max_remembered_bytes: bytes(0, 1024 ** 3).default(32 * 1024 ** 2),
  /** Memories that a node keeps at a time. */
  max_memories: integer(1, 10_000_000).default(65_536),
  /** Bytes of all memories that a node keeps in its own memory. */
  max_memory_bytes: bytes(0, 1024 ** 4).default(1024 ** 3),
  /** The same for one client: a run, another member, an address. */
  max_client_memory_bytes: bytes(0, 1024 ** 4).default(256 * 1024 ** 2),
  /** Largest chunk that `Write` takes, bytes. */
  max_chunk_bytes: bytes(256 * 1024, 16 * 1024 ** 2).default(1024 ** 2),
  /** How long a memory is kept for a client that names no time, ms. */
  default_lease_ms: integer(1, 86_400_000).default(60_000),
  /** Longest time that may be asked for, ms. */
  max_lease_ms: integer(1, 86_400_000).default(3_600_000),
  /** How long the other end of a transfer may make no progress, ms. */
  transfer_stall_ms: integer(1, 600_000).default(15_000),
  /** Budget of a run or call that names none, ms. */
  default_budget_ms: integer(1, 86_400_000).default(30_000),
  /** Longest budget that may be asked for, ms. */
  max_budget_ms: integer(1, 86_400_000).default(600_000),
  /** How long a stopping node waits for what it has admitted, ms. */
  shutdown_grace_ms: integer(0, 600_000).default(5000),
});

/** Limits in force; names as in the ini file, units last. */
export type Limits = z.output<typeof limitsSection>;
