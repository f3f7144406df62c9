import { credentials } from '@grpc/grpc-js';

import type { Limits } from '../../../../config/limits.js';
import {
  ApplicationServiceClient,
  RunState,
} from '../../../../protos/gen/fractory/v1/application.js';
import type { Topology } from '../../../../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunResponse } from '../../../../protos/gen/fractory/v1/application.js';
import { ControllerServiceClient } from '../../../../protos/gen/fractory/v1/controller.js';
import type { ConnectResponse } from '../../../../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import type { Graph } from '../../../../protos/gen/fractory/v1/graph.js';
import { toFractoryError } from '../../../../protos/status.js';
import { Nodes } from '../nodes.js';
import { Workshop } from './workshop.js';

export type Done<R> = (error: Error | null, answer: R) => void;

/** A unary call as a promise. */
export function ask<R>(call: (done: Done<R>) => unknown): Promise<R> {
  return new Promise((resolve, reject) => {
    call((error, answer) => {
      if (error) reject(toFractoryError(error));
      else resolve(answer);
    });
  });
}

export interface SentRun {
  readonly id: string;
  /** Where it ended; rejects where it ended not exactly once. */
  readonly ended: Promise<RunEnded>;
}

/** How much a node holds, by what it is. Objects: those of its operations are not counted. */
export type Held = Readonly<Record<string, number>>;

const HELD = /^fractory_held\{.*what="(\w+)".*\} (\d+)$/;
const MEMORIES = /^fractory_memories\{.*\} (\d+)$/;
/** How long what a run leaves may take to be gone: releases are on their way. */
const RELEASED_MS = 3000;

/** An application node and math nodes that are workshops, over real gRPC, links and bulk sockets. */
export class Cluster implements AsyncDisposable {
  readonly nodes: Nodes;
  readonly workshops = new Map<string, Workshop>();
  client!: ApplicationServiceClient;
  readonly #listeners = new Set<() => void>();
  readonly #objects = new Map<string, number>();
  #runs = 0;

  private constructor(nodes: Nodes) {
    this.nodes = nodes;
  }

  /** `limits`: beside no grace for what runs while a node stops. */
  static async start(members = 2, limits: Partial<Limits> = {}): Promise<Cluster> {
    // All of it is one process, which large graphs keep busy.
    const sessionTimeoutMs = 10_000;
    const nodes = await Nodes.start({
      ...{ sessionTimeoutMs, limits: { shutdown_grace_ms: 0, ...limits } },
    });
    const cluster = new Cluster(nodes);
    for (let member = 1; member <= members; member++) await cluster.add(`math-${String(member)}`);
    await nodes.application('application-1');
    cluster.#objects.set('application-1', (await cluster.held('application-1'))['objects'] ?? 0);
    const { address } = nodes.node('application-1').node;
    cluster.client = new ApplicationServiceClient(address, credentials.createInsecure());
    return cluster;
  }

  async add(name: string, port = 0): Promise<void> {
    const workshop = new Workshop(() => {
      for (const listener of [...this.#listeners]) listener();
    });
    this.workshops.set(name, workshop);
    this.#objects.delete(name);
    await this.nodes.math(name, () => Promise.resolve(workshop.device()), port);
    this.#objects.set(name, (await this.held(name))['objects'] ?? 0);
  }

  set isStuck(isStuck: boolean) {
    for (const workshop of this.workshops.values()) workshop.isStuck = isStuck;
  }

  /** A root capability of a node, as Connect gives it to foreign clients. */
  async root(name: string, operation: string): Promise<Capability> {
    using controller = this.controller(name);
    const { grants } = await ask<ConnectResponse>((done) => controller.client.connect({}, done));
    return grants.find((grant) => grant.operation?.name === operation)!.capability!;
  }

  controller(name: string): { readonly client: ControllerServiceClient } & Disposable {
    const { address } = this.nodes.node(name).node;
    const client = new ControllerServiceClient(address, credentials.createInsecure());
    return {
      client,
      [Symbol.dispose]: () => {
        client.close();
      },
    };
  }

  send(graph: Graph, topology: Topology = 0, budgetMs = 8000): SentRun {
    const run = `run-${String(++this.#runs)}`;
    return { id: run, ended: this.#end(run, graph, topology, budgetMs) };
  }

  cancel({ id }: SentRun): Promise<RunState> {
    return new Promise((resolve, reject) => {
      this.client.cancel({ run: id }, (error, answer) => {
        if (error) reject(error);
        else resolve(answer.state);
      });
    });
  }

  /** Resolves with the member in which it happens, or has happened. */
  async happened(event: string | RegExp): Promise<string> {
    const is = (one: string): boolean =>
      typeof event === 'string' ? one === event : event.test(one);
    for (;;) {
      for (const [member, { events }] of this.workshops) if (events.some(is)) return member;
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  /** Resolves with the member that holds such a thing. */
  async holds(what: string): Promise<string> {
    for (;;)
      for (const member of this.workshops.keys())
        if (((await this.held(member))[what] ?? 0) > 0) return member;
  }

  /** What a node says of itself at `/metrics`. */
  async held(name: string): Promise<Held> {
    const text = await (await fetch(`http://${await this.#metricsAddress(name)}/metrics`)).text();
    const held: Record<string, number> = {};
    for (const line of text.split('\n')) {
      const [, what, count] = HELD.exec(line) ?? [];
      if (what !== undefined) held[what] = Number(count);
      const [, memories] = MEMORIES.exec(line) ?? [];
      if (memories !== undefined) held['memories'] = Number(memories);
    }
    if ('objects' in held) held['objects'] -= this.#objects.get(name) ?? 0;
    return held;
  }

  /** Resolves when no node holds anything and no content is open; throws where something stays. */
  async nothingHeld(): Promise<void> {
    const untilMs = Date.now() + RELEASED_MS;
    for (;;) {
      const left: string[] = [];
      for (const name of [...this.#alive(), 'application-1'])
        for (const [what, count] of Object.entries(await this.held(name)))
          if (count > 0) left.push(`${name}: ${String(count)} ${what}`);
      for (const name of this.#alive()) {
        const open = this.workshops.get(name)?.open ?? 0;
        if (open > 0) left.push(`${name}: ${String(open)} contents`);
      }
      if (left.length === 0) return;
      if (Date.now() > untilMs) throw new Error(`left: ${left.join(', ')}`);
    }
  }

  /** A member dies, as far as that can be had within a process: its work, links and transfers are cut. */
  async dies(name: string): Promise<void> {
    const workshop = this.workshops.get(name);
    this.workshops.delete(name);
    await this.nodes.vanish(name);
    await this.nodes.stop(name);
    if (workshop) this.#dead.push(workshop);
  }

  readonly #dead: Workshop[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.nodes[Symbol.asyncDispose]();
    for (const { open } of [...this.workshops.values(), ...this.#dead])
      if (open > 0) throw new Error(`${String(open)} contents are open after the stop`);
  }

  /** Of its present life: that of the life before may still be listed. */
  async #metricsAddress(name: string): Promise<string> {
    const { coordinator, node } = this.nodes.node(name);
    for (;;) {
      const member = coordinator.members().find(({ address }) => address === node.address);
      if (member) return member.metricsAddress;
      await new Promise<void>((resolve) => {
        const stop = coordinator.onMembers(() => {
          stop();
          resolve();
        });
      });
    }
  }

  #alive(): string[] {
    return [...this.workshops.keys()];
  }

  async #end(run: string, graph: Graph, topology: Topology, budgetMs: number): Promise<RunEnded> {
    const deadline = Date.now() + budgetMs + 3000;
    const ends: RunEnded[] = [];
    const stream = this.client.run(
      { run, graph, topology, budgetMs, durable: false },
      { deadline },
    );
    for await (const { event } of stream as AsyncIterable<RunResponse>)
      if (event?.event?.$case === 'ended') ends.push(event.event.value);
    const [ended] = ends;
    if (!ended || ends.length > 1) throw new Error(`${run} ended ${String(ends.length)} times`);
    return ended;
  }
}

export { RunState };
