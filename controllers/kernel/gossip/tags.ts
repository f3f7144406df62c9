import type { Tags } from '../../../gossip/serf/tags.js';
import type { MemberKey } from '../directory.js';
import type { Load } from './load.js';

/** What a node tells everybody of itself by gossip: agents of Serf show it as tags. */
export interface NodeTags extends MemberKey {
  readonly dataCenter: string;
  readonly type: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  readonly load: Load;
}

export function encodeNodeTags({ dataCenter, id, type, epoch, address, load }: NodeTags): Tags {
  return {
    ...{ dc: dataCenter, id, type, epoch: String(epoch), grpc: address },
    ...{ load: String(load.percent), work: String(load.work) },
  };
}

/** Undefined where they are not those of a node of this data center: an agent of Serf, say. */
export function decodeNodeTags(tags: Tags, dataCenter: string): NodeTags | undefined {
  const { dc, id, type, epoch = '', grpc = '', load = '', work = '' } = tags;
  if (dc !== dataCenter || id === undefined || type === undefined) return undefined;
  if (!/^\d{1,20}$/.test(epoch)) return undefined;
  return {
    ...{ dataCenter, id, type, epoch: BigInt(epoch), address: grpc },
    load: { percent: countOf(load), work: countOf(work) },
  };
}

function countOf(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}
