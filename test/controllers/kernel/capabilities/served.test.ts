import { credentials, Metadata } from '@grpc/grpc-js';
import type { ClientReadableStream } from '@grpc/grpc-js';

import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import {
  CapabilityState,
  ControllerServiceClient,
} from '../../../../protos/gen/fractory/v1/controller.js';
import type {
  ConnectResponse,
  DeriveResponse,
  RevokeResponse,
  WatchResponse,
} from '../../../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../../../protos/status.js';
import { integerValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { Nodes } from '../nodes.js';
import type { NodesOptions } from '../nodes.js';

type Done<T> = (error: Error | null, answer: T) => void;

function ask<T>(call: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, answer) => {
      if (error) reject(toFractoryError(error));
      else resolve(answer);
    });
  });
}

/** A math node and a foreign client of it. */
class Served implements AsyncDisposable {
  readonly nodes: Nodes;
  readonly client: ControllerServiceClient;

  private constructor(nodes: Nodes) {
    this.nodes = nodes;
    const { address } = nodes.node('math-1').node;
    this.client = new ControllerServiceClient(address, credentials.createInsecure());
  }

  static async start(options: NodesOptions = {}): Promise<Served> {
    const nodes = await Nodes.start(options);
    await nodes.math('math-1');
    return new Served(nodes);
  }

  async root(): Promise<Capability> {
    const { grants } = await ask<ConnectResponse>((done) => this.client.connect({}, done));
    return grants.find(({ operation }) => operation?.name === 'math.add')!.capability!;
  }

  async derive(capability: Capability): Promise<{ capability: Capability; revoker: Capability }> {
    const caveat = { expiresAtMs: 0n, arguments: [{ name: 'by', value: integerValue(1n) }] };
    const answer = await ask<DeriveResponse>((done) =>
      this.client.derive({ capability, caveat: { ...caveat, timeoutMs: 0 } }, done),
    );
    return { capability: answer.capability!, revoker: answer.revoker! };
  }

  async revoke(capability: Capability): Promise<bigint> {
    return (await ask<RevokeResponse>((done) => this.client.revoke({ capability }, done))).revoked;
  }

  /** Why an invocation was refused; undefined if it was admitted. */
  async invoke(capability: Capability): Promise<string | undefined> {
    const request = {
      ...{ capability, arguments: [{ name: 'input', value: integerValue(1n) }], budgetMs: 0 },
      ...{ onSuccess: [], onFailure: [], shared: [] },
    };
    return ask((done) => this.client.invoke(request, done)).then(
      () => undefined,
      (error: unknown) => toFractoryError(error).reason,
    );
  }

  watch(capability: Capability): Watching {
    return new Watching(this.client.watch({ capability }, new Metadata()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.nodes[Symbol.asyncDispose]();
  }
}

/** What a caller of Watch hears. */
class Watching {
  readonly #stream: ClientReadableStream<WatchResponse>;
  readonly #messages: AsyncIterator<WatchResponse>;

  constructor(stream: ClientReadableStream<WatchResponse>) {
    this.#stream = stream;
    this.#messages = stream[Symbol.asyncIterator]() as AsyncIterator<WatchResponse>;
  }

  /** The next state, the reason of a failure, or `end`. */
  async next(): Promise<CapabilityState | string> {
    try {
      const message = await this.#messages.next();
      return message.done ? 'end' : message.value.state;
    } catch (error) {
      return toFractoryError(error).reason;
    }
  }

  cancel(): void {
    this.#stream.cancel();
  }
}

suite('capabilities over the wire', (test) => {
  test('what was derived is useless once Revoke has answered; its sibling is not', async () => {
    await using served = await Served.start();
    const root = await served.root();
    const { capability, revoker } = await served.derive(root);
    const sibling = await served.derive(root);
    const narrowed = narrow(capability, { timeoutMs: 100 });
    assert.equal(
      [await served.invoke(narrowed), await served.invoke(capability)],
      [undefined, undefined],
    );
    assert.is(await served.revoke(revoker), 1n);
    assert.is(await served.revoke(revoker), 0n);
    assert.is(await served.invoke(narrowed), 'CAPABILITY_REVOKED');
    assert.is(await served.invoke(sibling.capability), undefined);
  });

  test('of invokes that race with a revocation none is admitted that was sent after its answer', async () => {
    await using served = await Served.start();
    const root = await served.root();
    const counts = { admitted: 0, refused: 0, sentAfter: 0, admittedAfter: 0 };
    for (let race = 0; race < 5; race++) {
      const { capability, revoker } = await served.derive(root);
      let isAnswered = false;
      let left = 40;
      const racer = async (): Promise<void> => {
        while (left > 0) {
          const isAfter = isAnswered;
          if (isAfter) left--;
          const reason = await served.invoke(capability);
          counts[reason === undefined ? 'admitted' : 'refused']++;
          if (isAfter) counts.sentAfter++;
          if (isAfter && reason === undefined) counts.admittedAfter++;
        }
      };
      const racers = Array.from({ length: 16 }, racer);
      assert.is(await served.invoke(capability), undefined);
      await served.revoke(revoker);
      isAnswered = true;
      await Promise.all(racers);
    }
    assert.is(counts.admittedAfter, 0);
    assert.ok(counts.admitted >= 5 && counts.sentAfter >= 200, JSON.stringify(counts));
  });

  test('a watch says how its capability ended, and that of a useless one fails', async () => {
    await using served = await Served.start();
    const { capability, revoker } = await served.derive(await served.root());
    const watching = served.watch(capability);
    assert.is(await watching.next(), CapabilityState.VALID);
    await served.revoke(revoker);
    assert.equal([await watching.next(), await watching.next()], [CapabilityState.REVOKED, 'end']);
    assert.is(await served.watch(capability).next(), 'CAPABILITY_REVOKED');
  });

  test('a caller that goes makes room for another watch', async () => {
    await using served = await Served.start({ limits: { max_watches: 1 } });
    const root = await served.root();
    const first = served.watch(root);
    assert.is(await first.next(), CapabilityState.VALID);
    assert.is(await served.watch(root).next(), 'LIMIT_EXCEEDED');
    first.cancel();
    let found: CapabilityState | string = 'LIMIT_EXCEEDED';
    let second = first;
    while (found === 'LIMIT_EXCEEDED') {
      second = served.watch(root);
      found = await second.next();
    }
    assert.is(found, CapabilityState.VALID);
    second.cancel();
  });

  test('a node that stops says OWNER_LOST to those who watch, and does not wait for them', async () => {
    await using served = await Served.start();
    const watching = served.watch(await served.root());
    assert.is(await watching.next(), CapabilityState.VALID);
    const [state, end] = await Promise.all([
      watching.next(),
      watching.next(),
      served.nodes.stop('math-1'),
    ]);
    assert.equal([state, end], [CapabilityState.OWNER_LOST, 'end']);
  });
});
