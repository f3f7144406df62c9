import { z } from 'zod';

import { FAULT_KINDS } from './fault-kind.js';

/** ms since the experiment began. */
const at = z.number();
const fault = z.number().int();
const member = z.string();
const type = z.string();
/** Decimal text. */
const epoch = z.string();

const began = z.object({
  event: z.literal('began'),
  experiment: z.string(),
  /** As it was typed: `chaos monkey --for 60s`. */
  command: z.string(),
  startedAt: z.string(),
  dataCenter: z.string(),
  coordinator: z.string(),
  sessionTimeoutMs: z.number(),
  seed: z.number().optional(),
  members: z.array(z.object({ member, type, epoch, leader: z.boolean() })),
  /** What runs as load, and which device types each kind needs. */
  workloads: z.array(z.object({ kind: z.string(), uses: z.array(type) })),
});

const faulted = z.object({
  event: z.literal('fault'),
  atMs: at,
  fault,
  kind: z.enum(FAULT_KINDS),
  target: member,
  type,
  /** Of the target when it was hit; absent for servers of ZooKeeper. */
  epoch: epoch.optional(),
  /** It led its type. */
  leader: z.boolean(),
  /** More for people: `from nodes, one way`. */
  detail: z.string().optional(),
});

const run = z.object({
  event: z.literal('run'),
  /** When it was sent first. */
  atMs: at,
  endMs: at,
  run: z.string(),
  kind: z.string(),
  durable: z.boolean(),
  outcome: z.enum(['succeeded', 'failed', 'lost', 'doubled', 'wrong']),
  attempts: z.number(),
  /** How often the client sent it. */
  sends: z.number(),
  /** Of a failure. */
  reason: z.string().optional(),
  /** What was wrong with it, for people. */
  detail: z.string().optional(),
});

/** What happens in an experiment, as its file has it: one JSON object a line, in the order in which it was seen. */
export const eventSchema = z.discriminatedUnion('event', [
  began,
  faulted,
  run,
  z.object({ event: z.literal('healed'), atMs: at, fault }),
  /** The list of members of `by` lacks the target of the fault. */
  z.object({ event: z.literal('noticed'), atMs: at, fault, by: member }),
  /** The target is registered again and serves. */
  z.object({ event: z.literal('back'), atMs: at, fault }),
  z.object({ event: z.literal('joined'), atMs: at, member, type, epoch }),
  z.object({ event: z.literal('left'), atMs: at, member, type, epoch }),
  /** It leads by the list of members. */
  z.object({ event: z.literal('leads'), atMs: at, member, type, epoch }),
  /** It leads and answers that it serves. */
  z.object({ event: z.literal('serves'), atMs: at, member, type, epoch }),
  /** What turned out about a run after its end, from what storage holds. */
  z.object({
    event: z.literal('found'),
    atMs: at,
    run: z.string(),
    /** What its client had heard. */
    was: z.enum(['succeeded', 'failed']),
    outcome: z.enum(['lost', 'doubled', 'wrong']),
    detail: z.string(),
  }),
  z.object({ event: z.literal('note'), atMs: at, text: z.string() }),
  z.object({ event: z.literal('ended'), atMs: at }),
]);

export type ChaosEvent = z.output<typeof eventSchema>;
export type Began = z.output<typeof began>;
export type Faulted = z.output<typeof faulted>;
export type RunEvent = z.output<typeof run>;
