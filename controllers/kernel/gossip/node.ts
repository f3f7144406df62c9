import type { Registry } from 'prom-client';

import type { GossipConfig } from '../../../config/node-config.js';
import type { DescribeGossipResponse } from '../../../protos/gen/fractory/v1/controller.js';
import { messageOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { Directory } from '../directory.js';
import type { GossipMembership } from './membership.js';
import { GossipVerdicts } from './verdicts.js';
import { NO_GOSSIP } from './view.js';

export interface NodeGossipParts {
  /** Undefined = it doesn't gossip: every method is there and does nothing. */
  readonly config: GossipConfig | undefined;
  /** Address that the node's servers bind to: gossip does too. */
  readonly host: string;
  readonly dataCenter: string;
  readonly member: string;
  readonly type: string;
  readonly directory: Directory;
  readonly registry: Registry;
  readonly log: Logger;
  /** Operations and calls under way. */
  readonly underWay: () => number;
}

/**
 * A node's membership in the gossip of its data center. It never stops the node: where gossip can't begin, a line of the log says so, and the coordinator alone knows who is there,
 * as ever. In gossip a process is called by member and life (`math-1.3f2a91c0`): two lives of a member are two processes there, and never take each other for an impostor.
 */
export class NodeGossip implements AsyncDisposable {
  readonly #parts: NodeGossipParts;
  readonly #verdicts: GossipVerdicts;
  #running: GossipMembership | undefined;
  #epoch = 0n;
  #leaving: Promise<void> | undefined;

  constructor(parts: NodeGossipParts) {
    this.#parts = parts;
    this.#verdicts = new GossipVerdicts((key, state) => {
      parts.directory.judge(key, state === 'suspect' ? 'alive' : state);
    });
  }

  /** Begins, if it can; resolves with ADDRESS:PORT for the others. `instance`: of this process; `address`: of its gRPC server. Never rejects. */
  async start(instance: string, address: string): Promise<string | undefined> {
    const { config, log, member } = this.#parts;
    if (!config) return undefined;
    const name = `${member}.${instance.slice(0, 8)}`;
    try {
      this.#running = await this.#begin(config, name, address);
    } catch (error) {
      const remedy = 'mend [Gossip] and restart the node, or set enabled = false';
      log.error({ error: messageOf(error), remedy }, 'gossip is off: it could not begin');
      return undefined;
    }
    // The node was stopped meanwhile.
    if (this.#leaving) {
      await this.#end();
      return undefined;
    }
    const { endpoint } = this.#running;
    log.info({ gossip: endpoint, name, profile: config.profile }, 'node gossips');
    return endpoint;
  }

  /** This node is registered in this epoch; 0 = it is not, now. */
  registered(epoch: bigint): void {
    // Who has said goodbye says no more.
    if (epoch === this.#epoch || this.#leaving) return;
    this.#epoch = epoch;
    void this.#running?.tell();
  }

  /** Members as gossip has them. */
  view(): DescribeGossipResponse {
    return this.#running?.view() ?? NO_GOSSIP;
  }

  /** Says goodbye, so that others don't take this node for dead. Idempotent, bounded, never rejects. */
  leave(): Promise<void> {
    this.#leaving ??= this.#running?.leave() ?? Promise.resolve();
    return this.#leaving;
  }

  /** Says goodbye, if that was not done, and ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
    await this.#end();
  }

  async #end(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.close();
  }

  /** Who doesn't gossip loads nothing of it. */
  async #begin(config: GossipConfig, name: string, address: string): Promise<GossipMembership> {
    const { GossipMembership } = await import('./membership.js');
    const { dataCenter, member, type } = this.#parts;
    return GossipMembership.begin(this.#parts, {
      ...{ config, name, verdicts: this.#verdicts },
      about: (load) => ({
        ...{ dataCenter, id: member, epoch: this.#epoch, type, address, load },
      }),
    });
  }
}
