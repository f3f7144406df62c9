import { once } from 'node:events';

import type { ClientReadableStream } from '@grpc/grpc-js';

import {
  ApplicationServiceClient,
  RunState,
  Topology,
} from '../../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunResponse } from '../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { StorageServiceClient } from '../../protos/gen/fractory/v1/storage.js';
import type {
  PutResponse,
  StorageServiceGetResponse,
} from '../../protos/gen/fractory/v1/storage.js';
import { fromFailure, toFractoryError } from '../../protos/status.js';
import { ChannelPool } from '../../runtime/channels.js';
import { unavailable } from '../../runtime/errors.js';
import { channelCredentialsOf, metadataOf } from '../client-credentials.js';
import { sameTraffic, sentBy, together } from './counters.js';
import type { LinkTraffic } from './counters.js';
import { CLIENT } from './workloads.js';
import type { TaxDataCenter } from './tax-data-center.js';
import type { Arm } from './rows.js';
import { sleep } from '../../runtime/deadline.js';

const CHUNK_BYTES = 256 * 1024;
const TRANSFER_TIMEOUT_MS = 60_000;
const RUN_BUDGET_MS = 30_000;
const RUN_SLACK_MS = 5000;
const SCRAPE_TIMEOUT_MS = 5000;
/** What follows the end of a run (releases, admissions) is counted soon; after so many looks it is not waited for. */
const QUIET_LOOKS = 20;
const QUIET_MS = 10;

const TOPOLOGIES: Readonly<Record<Arm, Topology>> = { star: Topology.STAR, ring: Topology.RING };

/** Talks to a data center as any client does: uploads, runs, reads counters. Owns its connections. */
export class TaxClient implements Disposable {
  readonly #dataCenter: TaxDataCenter;
  readonly #channels: ChannelPool;

  constructor(dataCenter: TaxDataCenter) {
    this.#dataCenter = dataCenter;
    this.#channels = new ChannelPool({ credentials: channelCredentialsOf(dataCenter.security) });
  }

  /** Stores a file of our own. */
  upload(name: string, content: Buffer): Promise<void> {
    const client = this.#channels.client(
      StorageServiceClient,
      this.#dataCenter.leader('storage').address,
    );
    return new Promise((resolve, reject) => {
      const finish = (error: Error | null, response?: PutResponse): void => {
        if (error) reject(toFractoryError(error));
        else if (Number(response?.file?.sizeBytes) === content.length) resolve();
        else
          reject(new Error(`storage did not store the ${String(content.length)} bytes of ${name}`));
      };
      const call = client.put(this.#metadata(), deadline(TRANSFER_TIMEOUT_MS), finish);
      const header = { client: CLIENT, name, mediaType: '', sha256: '' };
      call.write({ part: { $case: 'header', value: header } });
      for (let start = 0; start < content.length; start += CHUNK_BYTES) {
        const chunk = content.subarray(start, start + CHUNK_BYTES);
        call.write({ part: { $case: 'chunk', value: chunk } });
      }
      call.end();
    });
  }

  async download(name: string): Promise<Buffer> {
    const { address } = this.#dataCenter.leader('storage');
    const client = this.#channels.client(StorageServiceClient, address);
    const request = { client: CLIENT, name };
    const call = client.get(request, this.#metadata(), deadline(TRANSFER_TIMEOUT_MS));
    const chunks: Uint8Array[] = [];
    for await (const message of call as AsyncIterable<StorageServiceGetResponse>)
      if (message.part?.$case === 'chunk') chunks.push(message.part.value);
    return Buffer.concat(chunks);
  }

  /** Runs a graph to its end; throws what the run failed with. */
  async run(graph: Graph, arm: Arm): Promise<RunEnded> {
    const { address } = this.#dataCenter.leader('application');
    const client = this.#channels.client(ApplicationServiceClient, address);
    const topology = TOPOLOGIES[arm];
    const request = { run: '', graph, topology, budgetMs: RUN_BUDGET_MS, durable: false };
    const call = client.run(request, this.#metadata(), deadline(RUN_BUDGET_MS + RUN_SLACK_MS));
    const ended = await endOf(call);
    if (ended.state === RunState.SUCCEEDED) return ended;
    throw ended.failure
      ? fromFailure(ended.failure)
      : unavailable('RUN_FAILED', 'the run failed without a reason');
  }

  /** What the nodes have sent to each other so far, as soon as nothing more comes. */
  async traffic(): Promise<LinkTraffic> {
    let before = await this.#scrape();
    for (let look = 1; ; look++) {
      await sleep(QUIET_MS);
      const now = await this.#scrape();
      if (look === QUIET_LOOKS || sameTraffic(before, now)) return now;
      before = now;
    }
  }

  [Symbol.dispose](): void {
    this.#channels.close();
  }

  async #scrape(): Promise<LinkTraffic> {
    const parts = this.#dataCenter.members().map(async ({ id, metricsAddress }) => {
      const signal = AbortSignal.timeout(SCRAPE_TIMEOUT_MS);
      const response = await fetch(`http://${metricsAddress}/metrics`, { signal });
      const traffic = sentBy(id, await response.text());
      if (traffic) return traffic;
      throw new Error(
        `${id} counts nothing on its wires: ${metricsAddress}/metrics has no such line`,
      );
    });
    return together(await Promise.all(parts));
  }

  #metadata(): ReturnType<typeof metadataOf> {
    return metadataOf(this.#dataCenter.security);
  }
}

async function endOf(call: ClientReadableStream<RunResponse>): Promise<RunEnded> {
  let found: RunEnded | undefined;
  call.on('data', ({ event }: RunResponse) => {
    if (event?.event?.$case === 'ended') found = event.event.value;
  });
  try {
    await once(call, 'end');
  } catch (error) {
    throw toFractoryError(error);
  }
  if (found) return found;
  throw unavailable('RUN_UNFINISHED', 'the stream of a run ended before the run');
}

function deadline(timeoutMs: number): { deadline: number } {
  return { deadline: Date.now() + timeoutMs };
}
