import { DataCenter } from '../../applications/sdk/index.js';
import type { Test } from '../suite.js';
import type { LiveDataCenter, Shared } from './live-data-center.js';

/** What graphs do in one of the ways in which they run, in a data center that is up. */
export type GraphClaims = (test: Test, ground: GraphGround) => void;

export const GRAPH_TIMEOUT_MS = 60_000;

/** Where they are put to the test. */
export class GraphGround {
  readonly topology: 'ring' | 'star';
  readonly #shared: Shared<LiveDataCenter>;

  constructor(shared: Shared<LiveDataCenter>, topology: 'ring' | 'star') {
    this.#shared = shared;
    this.topology = topology;
  }

  live(): Promise<LiveDataCenter> {
    return this.#shared.get();
  }

  /** A client whose runs go that way. */
  async connected(): Promise<DataCenter & Disposable> {
    const { address } = await (await this.live()).leader('application');
    const dataCenter = new DataCenter({
      ...{ application: 'test', credentials: { mode: 'open' }, topology: this.topology },
      applicationNodes: [address],
    });
    return Object.assign(dataCenter, {
      [Symbol.dispose]: () => {
        dataCenter.close();
      },
    });
  }
}
