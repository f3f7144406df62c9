import type { WireOptions } from '../../../gossip/wire/packet.js';
import { sleep } from '../../../runtime/deadline.js';
import { messageOf } from '../../../runtime/errors.js';
import type { ClusterPorts } from './fuzzed-cluster.js';
import { faultOf } from './hostile-requests.js';
import { asked, faultOfState } from './serf-eyes.js';

const ANSWER_MS = 5000;
const TRIES = 10;
const LOOK_EVERY_MS = 250;
const ASKED = ['/health', '/members', '/info', '/get?key=well'];

/** Somebody who means well, and asks agents that are attacked for what they tell everybody. */
export class AgentEyes {
  readonly #ports: ClusterPorts;
  readonly #wire: WireOptions;
  readonly #found: (fault: string) => void;
  states = 0;
  answers = 0;

  constructor(ports: ClusterPorts, wire: WireOptions, found: (fault: string) => void) {
    this.#ports = ports;
    this.#wire = wire;
    this.#found = found;
  }

  async watch(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      await Promise.all([this.#lookAtStates(1), this.#ask()]);
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** When nobody attacks any more, everybody answers. */
  async lookAtLast(): Promise<void> {
    await Promise.all([this.#lookAtStates(TRIES), this.#ask()]);
  }

  async #lookAtStates(tries: number): Promise<void> {
    const { port, peerPorts } = this.#ports;
    for (const whom of [port, ...peerPorts]) {
      let state: Uint8Array | undefined;
      for (let tried = 0; tried < tries && !state; tried++)
        state = (await asked(whom, this.#wire, ANSWER_MS))?.state;
      if (state) this.states++;
      // Who is busy with others may be slow; in the end nobody is.
      else if (tries > 1) this.#found('a member answers no exchange any more');
      const fault = state && faultOfState(state, whom === port);
      if (fault !== undefined) this.#found(`a member tells ${fault}`);
    }
  }

  async #ask(): Promise<void> {
    const url = `http://127.0.0.1:${String(this.#ports.httpPort)}`;
    const written = String(performance.now());
    try {
      await this.#answer(`${url}/add?key=well&val=${written}`, 'POST');
      for (const path of ASKED) {
        const text = await this.#answer(url + path);
        const { Value } = JSON.parse(text) as { Value?: string };
        // Later than all that was heard, whatever attackers have made up.
        if (path.startsWith('/get') && Value !== written)
          this.#found(`what was written over HTTP is not there: ${text}`);
      }
    } catch (error) {
      this.#found(`who means well is not answered over HTTP: ${messageOf(error)}`);
    }
  }

  async #answer(url: string, method = 'GET'): Promise<string> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(url, { method, signal, headers: { connection: 'close' } });
    const text = await response.text();
    this.answers++;
    const { pathname } = new URL(url);
    if (response.status !== 200)
      this.#found(`${pathname} answers who means well ${String(response.status)}: ${text}`);
    const fault = faultOf(text);
    if (fault !== undefined) this.#found(`${pathname}: ${fault}`);
    return text;
  }
}
