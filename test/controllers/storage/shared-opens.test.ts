import { SharedOpens } from '../../../controllers/storage/shared-opens.js';
import { ObjectKind } from '../../../protos/gen/fractory/v1/capability.js';
import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';

const CONTENT = {
  placement: { device: 'block-1', extents: ['a'] },
  ...{ sizeBytes: 5, sha256: '', mediaType: 'text/plain' },
};
const { signal } = new AbortController();

function world() {
  const clock = new ManualClock();
  const state = { epoch: 1n, opens: 0, leaseMs: 0, fails: false };
  const opens = new SharedOpens({
    clock,
    epochOf: () => state.epoch,
    calls: {
      open: async (_device, { leaseMs }) => {
        state.opens++;
        state.leaseMs = leaseMs;
        await Promise.resolve();
        if (state.fails) throw unavailable('OWNER_LOST', 'it is not there');
        const capability = {
          ...{ owner: 'block-1', epoch: state.epoch, object: BigInt(state.opens), node: 1n },
          ...{ kind: ObjectKind.MEMORY, rights: 2, caveats: [], tag: new Uint8Array() },
        };
        const memory = { sizeBytes: 5n, sha256: new Uint8Array(), capability };
        return { memory, capability, revoker: undefined };
      },
    },
  });
  const open = (forMs = 1000): ReturnType<typeof opens.open> =>
    opens.open(CONTENT, clock.now() + forMs, signal);
  return { clock, state, opens, open };
}

suite('shared opens', (test) => {
  test('all readers of a content share one open', async () => {
    const { open, state } = world();
    const [first, second] = await Promise.all([open(), open()]);
    assert.is(first, second);
    assert.is(await open(), first);
    assert.is(state.opens, 1);
  });

  test('in another life of the device it is opened again', async () => {
    const { open, state } = world();
    await open();
    state.epoch = 2n;
    assert.is((await open()).capability.epoch, 2n);
    assert.is(state.opens, 2);
  });

  test('an open that ends before the reader does is made again, and its readers stay known', async () => {
    const { open, opens, state, clock } = world();
    const first = await open();
    const untilMs = first.leaseEndMs;
    first.useUntil(untilMs);
    clock.advance(state.leaseMs - 500);
    const second = await open();
    assert.ok(second.leaseEndMs > untilMs);
    assert.is(opens.usedUntilMs(CONTENT.placement), untilMs);
    await open(10 * state.leaseMs);
    assert.is(state.opens, 3);
  });

  test('a reader of this node counts until it ends', async () => {
    const { open, opens } = world();
    const opened = await open();
    assert.is(opens.usedUntilMs(CONTENT.placement), 0);
    const end = opened.read();
    assert.is(opens.usedUntilMs(CONTENT.placement), opened.leaseEndMs);
    end();
    assert.is(opens.usedUntilMs(CONTENT.placement), 0);
  });

  test('a failed open is not remembered', async () => {
    const { open, state } = world();
    state.fails = true;
    await rejects(open(), FractoryError, { reason: 'OWNER_LOST' });
    state.fails = false;
    await open();
    assert.is(state.opens, 2);
  });
});
