import { Server } from '@grpc/grpc-js';

import { Directory } from '../../../controllers/kernel/directory.js';
import { LINK_METHOD, Links } from '../../../controllers/kernel/links.js';
import { WireTotals } from '../../../controllers/kernel/wire-counts.js';
import { ControllerServiceService } from '../../../protos/gen/fractory/v1/controller.js';
import type {
  Invocation,
  LinkRequest,
  LinkResponse,
  Release,
} from '../../../protos/gen/fractory/v1/controller.js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { ChannelPool } from '../../../runtime/channels.js';
import { ManualClock, systemClock } from '../../../runtime/clock.js';
import type { Clock } from '../../../runtime/clock.js';
import { denied } from '../../../controllers/kernel/capabilities/caveats.js';
import type { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { Member } from '../../../zookeeper/coordinator.js';
import { serveOnLoopback } from '../../loopback-server.js';
import { assert, suite } from '../../suite.js';
import { member, MemberList } from './member-list.js';

/** One controller: its links behind a real server. Admits everything but `hops` 13. */
class End {
  readonly arrived: Invocation[] = [];
  readonly released: Release[] = [];
  /** What came, in order: hops of invocations, and releases. */
  readonly order: (number | 'release')[] = [];
  readonly links: Links;
  readonly directory: Directory;
  readonly wire = new WireTotals();
  accepted = 0;
  readonly #server = new Server();
  readonly #channels = new ChannelPool();

  constructor(id: string, list: MemberList, clock: Clock = systemClock) {
    const epoch = 1n;
    this.directory = new Directory(list, clock);
    this.links = new Links({
      ...{ dataCenter: 'test', member: id, epoch: () => epoch, directory: this.directory },
      ...{ channels: this.#channels, log: silentLogger(), wire: this.wire.of },
      onInvocation: (invocation, link) => {
        this.arrived.push(invocation);
        this.order.push(invocation.hops);
        if (invocation.hops === 13) link.refuse(invocation.id, denied('13'));
        else link.admit(invocation.id);
      },
      onRelease: (release) => {
        this.released.push(release);
        this.order.push('release');
      },
    });
  }

  async start(): Promise<string> {
    const link = (stream: ServerDuplexStream<LinkRequest, LinkResponse>): void => {
      this.accepted++;
      this.links.accept(stream);
    };
    this.#server.addService({ ...ControllerServiceService, link: LINK_METHOD }, { link });
    const port = await serveOnLoopback(this.#server);
    return `127.0.0.1:${String(port)}`;
  }

  invoke(owner: Member, hops = 0): Promise<FractoryError | undefined> {
    const invocation: Invocation = {
      ...{ id: 0n, capability: undefined, onSuccess: [], onFailure: [], budgetMs: 1, receipts: [] },
      ...{ hops, sentAtUs: 0n, traceparent: '', arguments: [] },
      ...{ shared: [], attempt: 0, retries: 0 },
    };
    return new Promise((resolve) => {
      this.links.invoke(owner, invocation, resolve);
    });
  }

  /** Like the death of the process. */
  kill(): void {
    this.#server.forceShutdown();
  }

  [Symbol.dispose](): void {
    this.links.close();
    this.directory.close();
    this.#channels.close();
    this.#server.forceShutdown();
    assert.is(this.links.size, 0);
  }
}

async function pair(clock?: Clock) {
  const list = new MemberList();
  const [a, b] = [new End('math-1', list, clock), new End('math-2', list, clock)];
  const one = member('math-1', { address: await a.start() });
  const two = member('math-2', { address: await b.start() });
  list.set(one, two);
  return {
    ...{ list, a, b, one, two },
    [Symbol.dispose]: () => {
      a[Symbol.dispose]();
      b[Symbol.dispose]();
      assert.is(list.listeners, 0);
    },
  };
}

suite('links', (test) => {
  test('one link serves both directions', async () => {
    using ends = await pair();
    const { a, b, one, two } = ends;
    assert.is(await a.invoke(two), undefined);
    assert.is(await b.invoke(one), undefined);
    assert.is(await a.invoke(two), undefined);
    assert.equal([a.accepted, b.accepted], [0, 1]);
    assert.equal([a.arrived.length, b.arrived.length], [1, 2]);
    assert.equal([a.links.size, b.links.size], [1, 1]);
  });

  test('many invocations at once share one link', async () => {
    using ends = await pair();
    const { a, b, two } = ends;
    await Promise.all(Array.from({ length: 50 }, () => a.invoke(two)));
    assert.equal([b.accepted, b.arrived.length], [1, 50]);
  });

  test('a release arrives, over a link that is there or a fresh one, in order with invocations', async () => {
    using ends = await pair();
    const { a, b, two } = ends;
    const release = { capabilities: [], attempt: 1, ended: false };
    a.links.release(two, release);
    await a.invoke(two);
    a.links.release(two, { ...release, attempt: 2, ended: true });
    a.links.release(member('math-9'), release);
    await a.invoke(two);
    assert.equal(b.released, [release, { ...release, attempt: 2, ended: true }]);
    assert.is(b.accepted, 1);
  });

  test('a release never overtakes what was sent before it, on a fresh link neither', async () => {
    const release = { capabilities: [], attempt: 1, ended: true };
    using ends = await pair();
    const { a, b, two } = ends;
    const sent = [a.invoke(two, 1)];
    a.links.release(two, release);
    sent.push(a.invoke(two, 2));
    await Promise.all(sent);
    assert.equal(b.order, [1, 'release', 2]);
  });

  test('what waits for news of its member goes as soon as that member dials, and first', async () => {
    using ends = await pair();
    const { list, a, b, one, two } = ends;
    list.set(one);
    const first = a.invoke(two, 1);
    const dialling = new Promise<void>((resolve) => {
      const accept = a.links.accept.bind(a.links);
      a.links.accept = (stream) => {
        accept(stream);
        stream.once('data', () => {
          resolve();
        });
      };
    });
    const back = b.invoke(one);
    await dialling;
    assert.is(await first, undefined, 'the news has not come');
    const release = { capabilities: [], attempt: 1, ended: true };
    a.links.release(two, release);
    list.set(one, two);
    await Promise.all([back, a.invoke(two, 2)]);
    assert.equal(b.order, [1, 'release', 2]);
  });

  test('both ends count the same messages and bytes', async () => {
    using ends = await pair();
    const { a, b, one, two } = ends;
    for (let count = 0; count < 10; count++) await a.invoke(two);
    await b.invoke(one);
    const figures = ({ wire }: End, peer: string, direction: string): number[] => {
      const total = wire.all().find((one) => one.peer === peer && one.direction === direction);
      assert.is(total?.path, 'link');
      return [total?.bytes ?? 0, total?.messages ?? 0];
    };
    assert.equal(figures(a, 'math-2', 'sent'), figures(b, 'math-1', 'received'));
    assert.equal(figures(a, 'math-2', 'received'), figures(b, 'math-1', 'sent'));
    const [bytes = 0, messages = 0] = figures(a, 'math-2', 'sent');
    assert.ok(messages >= 11 && bytes > 11 * 10, `${String(bytes)} in ${String(messages)}`);
  });

  test('a refusal comes back with its reason', async () => {
    using ends = await pair();
    assert.is((await ends.a.invoke(ends.two, 13))?.reason, 'CAPABILITY_DENIED');
  });

  test('both may dial at the same moment', async () => {
    using ends = await pair();
    const { a, b, one, two } = ends;
    assert.equal(await Promise.all([a.invoke(two), b.invoke(one)]), [undefined, undefined]);
    assert.equal(await Promise.all([a.invoke(two), b.invoke(one)]), [undefined, undefined]);
  });

  test('an owner that is not there is OWNER_LOST', async () => {
    using ends = await pair();
    const error = await ends.a.invoke(member('math-9'));
    assert.is(error?.reason, 'OWNER_LOST');
    assert.match(error?.message ?? '', /math-9 \(epoch 1\) is not in the data center/);
  });

  test('whoever joins a waiting dial has patience of its own, and all that did fail together', async () => {
    const clock = new ManualClock();
    using ends = await pair(clock);
    const { list, a, b, one, two } = ends;
    list.set(one);
    const first = a.invoke(two, 1);
    clock.advance(950);
    const late = [a.invoke(two, 2), a.invoke(two, 3)];
    clock.advance(50);
    assert.is((await first)?.reason, 'OWNER_LOST');
    list.set(one, two);
    assert.equal(await Promise.all(late), [undefined, undefined]);
    assert.equal(b.order, [2, 3]);
    const never = member('math-9');
    const lost = [a.invoke(never)];
    clock.advance(500);
    lost.push(a.invoke(never), a.invoke(never));
    clock.advance(500);
    await lost[0];
    clock.advance(1000);
    for (const error of await Promise.all(lost)) assert.is(error?.reason, 'OWNER_LOST');
  });

  test('an owner whose server does not answer is OWNER_LOST', async () => {
    using ends = await pair();
    ends.b.kill();
    assert.is((await ends.a.invoke(ends.two))?.reason, 'OWNER_LOST');
  });

  test('a link ends when its member has left, and its watcher hears it once', async () => {
    using ends = await pair();
    const { a, list, one, two } = ends;
    await a.invoke(two);
    let heard = 0;
    const gone = new Promise<void>((resolve) => {
      a.links.watch(two, () => {
        heard++;
        resolve();
      });
    });
    list.set(one, two);
    assert.is(heard, 0);
    list.set(one);
    await gone;
    list.set(one, { ...two, epoch: 2n });
    list.set(one);
    assert.equal([heard, a.links.size], [1, 0]);
  });

  test('a watcher hears the end of a broken link, and one that was cancelled does not', async () => {
    using ends = await pair();
    const { a, b, two } = ends;
    let cancelledHeard = 0;
    a.links.watch(two, () => cancelledHeard++)();
    const broken = new Promise<void>((resolve) => {
      a.links.watch(two, resolve);
    });
    await a.invoke(two);
    b.kill();
    await broken;
    assert.is(cancelledHeard, 0);
  });

  test('a watcher of a member that is not there hears it', async () => {
    using ends = await pair();
    await new Promise<void>((resolve) => {
      ends.a.links.watch(member('math-9'), resolve);
    });
  });

  test('closing fails what is pending and opens no link any more', async () => {
    using ends = await pair();
    const { a, two } = ends;
    const pending = a.invoke(two);
    a.links.close();
    assert.is((await pending)?.reason, 'NODE_STOPPING');
    assert.is((await a.invoke(two))?.reason, 'NODE_STOPPING');
    assert.is(a.links.size, 0);
  });
});
