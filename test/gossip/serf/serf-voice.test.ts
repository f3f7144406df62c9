import { randomBytes } from 'node:crypto';

import type { Endpoint, MemberView } from '../../../gossip/core/member.js';
import type { SerfState } from '../../../gossip/serf/state.js';
import type { UserEvent } from '../../../gossip/serf/events.js';
import { encodeLeave } from '../../../gossip/serf/intents.js';
import { decodeAnswer, encodeQuery, encodeRelay, QueryFlag } from '../../../gossip/serf/queries.js';
import type { Query } from '../../../gossip/serf/queries.js';
import { isFor } from '../../../gossip/serf/query-filters.js';
import { SerfVoice } from '../../../gossip/serf/serf-voice.js';
import { decodingState, encodingState } from '../../../gossip/serf/state.js';
import { encodeUserEvent } from '../../../gossip/serf/events.js';
import { MAX_MEMBERS } from '../../../gossip/wire/limits.js';
import { RawWriter } from '../../../gossip/wire/raw-writer.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

function view(name: string, state: MemberView['state'] = 'alive'): MemberView {
  const address = Uint8Array.of(127, 0, 0, name.length);
  const versions = Uint8Array.of(1, 5, 2, 2, 5, 5);
  const rest = { port: 7946, meta: new Uint8Array(), versions, incarnation: 1, since: 0 };
  return { name, address, state, ...rest };
}

function encodeState(state: SerfState): Uint8Array {
  const steps = encodingState(state);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** A voice on a list that only writes down what is said. */
function voiced(...members: MemberView[]) {
  const told: Uint8Array[] = [];
  const sent: { to: Endpoint; message: Uint8Array }[] = [];
  const events: UserEvent[] = [];
  const changes: string[] = [];
  const refused: string[] = [];
  const voice = new SerfVoice({
    ...{ name: 'me', keyring: undefined, random: seededRandom(5) },
    onEvent: (event) => events.push(event),
    onChange: ({ kind, member }) => changes.push(`${kind} ${member.name} ${member.state}`),
  });
  const all = [view('me'), ...members];
  voice.attach({
    roomBytes: 1000,
    allMembers: () => all,
    member: (name) => all.find((one) => one.name === name),
    broadcast: (message) => {
      told.push(message);
      return Promise.resolve();
    },
    sendBestEffort: (to, message) => sent.push({ to, message }),
    refuse: ({ problem }) => refused.push(problem),
  });
  for (const member of all) voice.changed({ kind: 'join', member });
  return { voice, told, sent, events, changes, refused };
}

const nobody = new Uint8Array();
const query: Query = {
  ...{ time: 1, id: 9, address: view('a').address, port: 7946, source: 'a', filters: [] },
  ...{ flags: QueryFlag.ack, relays: 0, name: 'load', payload: nobody },
};
const empty: SerfState = {
  ...{ time: 1, statusTimes: new Map(), left: [], eventTime: 1, events: [], queryTime: 1 },
  ours: nobody,
};
const event = { time: 3, name: 'deploy', payload: Buffer.from('v1'), coalesce: true };

suite('a voice at the level of Serf', (test) => {
  test('an event is heard and passed on once; one that is too large to be passed on is heard', () => {
    const { voice, told, events } = voiced();
    for (let times = 0; times < 3; times++) voice.onUserMessage(encodeUserEvent(event));
    assert.is(told.length, 1);
    voice.onUserMessage(encodeUserEvent({ ...event, payload: randomBytes(2000) }));
    assert.is(told.length, 1);
    assert.is(events.length, 2);
  });

  test('a query is acknowledged to who asks and passed on, unless it says not to', () => {
    const { voice, told, sent } = voiced(view('a'));
    voice.onUserMessage(encodeQuery(query));
    voice.onUserMessage(encodeQuery(query));
    assert.is(told.length, 1);
    assert.is(sent.length, 1);
    assert.equal(sent[0]!.to, { address: query.address, port: query.port });
    const ack = decodeAnswer(sent[0]!.message);
    assert.equal({ ...ack, payload: 0 }, { time: 1, id: 9, from: 'me', flags: 1, payload: 0 });
    voice.onUserMessage(encodeQuery({ ...query, id: 10, flags: QueryFlag.noBroadcast }));
    assert.is(told.length, 1);
  });

  test('an answer is relayed to a member, and to nobody else', () => {
    const { voice, sent } = voiced(view('a'));
    const inner = Uint8Array.of(5, 1, 2, 3);
    voice.onUserMessage(encodeRelay(view('a'), 'a', inner));
    voice.onUserMessage(encodeRelay(view('stranger'), 'stranger', inner));
    assert.equal(
      sent.map(({ message }) => [...message]),
      [[...inner]],
    );
  });

  test('a query for a tag that looks like something is for who has it, and none takes forever', () => {
    const filterOf = (expression: string): Uint8Array => {
      const writer = new RawWriter().byte(1).map(2).raw('Tag').raw('role');
      return writer.raw('Expr').raw(expression).finish();
    };
    const tags = { role: `${'a'.repeat(60)}b` };
    assert.ok(isFor([filterOf('^a.*b$')], 'me', tags));
    assert.not.ok(isFor([filterOf('^b')], 'me', tags));
    assert.not.ok(isFor([filterOf('(a+)+$')], 'me', tags));
    assert.not.ok(isFor([filterOf('a*a*a*a*a*a*c')], 'me', tags));
    assert.not.ok(isFor([filterOf('[')], 'me', tags));
    assert.not.ok(isFor([filterOf('.')], 'me', {}));
  });

  test('who left by what an exchange says has left here, and what was told before we came is not heard', async () => {
    const { voice, events, changes } = voiced(view('a', 'dead'));
    voice.changed({ kind: 'fail', member: view('a', 'dead') });
    const told = { time: 4, events: [{ name: 'old', payload: nobody }] };
    const state = {
      ...{ time: 9, statusTimes: new Map([['a', 2]]), left: ['a'], eventTime: 5, events: [told] },
      ...{ queryTime: 1, ours: nobody },
    };
    await voice.joining(() => voice.mergeState(encodeState(state), true));
    assert.ok(changes.includes('leave a left'));
    assert.is(voice.seen(view('a', 'dead'))?.state, 'left');
    assert.is(events.length, 0);
    await voice.mergeState(
      encodeState({ ...state, eventTime: 7, events: [{ ...told, time: 6 }] }),
      false,
    );
    assert.is(events.length, 1);
  });

  test('that somebody leaves is told on to the few that are there directly, before its goodbye', () => {
    const { voice, sent, told } = voiced(view('a'), view('bb'), view('ccc', 'dead'));
    const intent = encodeLeave({ name: 'a', time: 7, prune: false });
    voice.onUserMessage(intent);
    voice.onUserMessage(intent);
    assert.is(told.length, 1);
    assert.equal(
      sent.map(({ to }) => to.address[3]),
      [1, 2],
    );
  });

  test('told to leave, it says that it is here; bytes of any kind do no harm', async () => {
    const { voice, told } = voiced();
    voice.onUserMessage(encodeLeave({ name: 'me', time: 7, prune: false }));
    assert.is(told.length, 1);
    assert.is(told[0]![0], 1);
    for (let type = 0; type < 12; type++)
      for (let round = 0; round < 50; round++)
        voice.onUserMessage(Buffer.concat([Uint8Array.of(type), randomBytes(round)]));
    voice.onAnswer(view('a'), 1, randomBytes(30));
    await voice.mergeState(randomBytes(100), false);
    await voice.mergeState(Buffer.concat([Uint8Array.of(2), randomBytes(100)]), false);
  });

  test('who joins us takes nothing from what we hear, however far ahead it is', async () => {
    const { voice, events } = voiced(view('a'));
    const ahead = { ...empty, eventTime: 1_000_000 };
    await voice.mergeState(encodeState(ahead), true);
    voice.onUserMessage(encodeUserEvent({ ...event, time: 3 }));
    assert.is(events.length, 1);
  });

  test('a time that nobody can have reached is not taken: later ones are heard, and our state is read', async () => {
    const { voice, told, events, refused } = voiced(view('a'));
    const madeUp = Number.MAX_SAFE_INTEGER - 1;
    voice.onUserMessage(encodeUserEvent({ ...event, time: madeUp }));
    voice.onUserMessage(encodeLeave({ name: 'me', time: madeUp, prune: false }));
    const times = new Map([['me', madeUp]]);
    const state = { ...empty, time: madeUp, statusTimes: times, left: ['me'], eventTime: madeUp };
    await voice.mergeState(encodeState({ ...state, queryTime: madeUp }), false);
    assert.is(told.length, 0);
    // An event, an intent, and of an exchange three clocks and one intent.
    assert.equal(
      refused,
      Array.from({ length: 6 }, () => 'too_large'),
    );
    voice.onUserMessage(encodeUserEvent(event));
    assert.is(events.length, 1);
    const other = voiced(view('b'));
    await other.voice.mergeState(await voice.localState(), false);
    assert.is(other.events.length, 1);
  });

  test('a time at the edge of what is believed leaves room for what is said after it', async () => {
    for (const edge of [2 ** 52, 2 ** 32, 2 ** 32 + 1, 2 ** 32 + 2]) {
      const { voice, told } = voiced(view('a'));
      voice.onUserMessage(encodeUserEvent({ ...event, time: edge }));
      // One that comes later takes the clock of whom it joins.
      const other = voiced(view('b'));
      await other.voice.joining(async () => other.voice.mergeState(await voice.localState(), true));
      voice.sayEvent('later', nobody, false);
      other.voice.onUserMessage(told.at(-1)!);
      assert.equal(
        other.events.map(({ name }) => name),
        ['later'],
        String(edge),
      );
    }
  });

  test('an event that is too large is refused, and is in no exchange', async () => {
    const { voice, told } = voiced(view('a'));
    // Into a packet, which has room for 1,000 bytes here; and of any message.
    for (const bytes of [1000, 10_000])
      assert.throws(() => {
        voice.sayEvent('large', new Uint8Array(bytes), false);
      }, /room for 1000/);
    assert.is(told.length, 0);
    const other = voiced(view('b'));
    await other.voice.mergeState(await voice.localState(), false);
    assert.is(other.events.length, 0);
    assert.equal(other.refused, []);
  });

  test('exchanges about who left settle: no clock goes on by them', async () => {
    const [one, two] = [voiced(view('a')), voiced(view('a'))];
    for (const { voice } of [one, two]) {
      voice.onUserMessage(encodeLeave({ name: 'a', time: 7, prune: false }));
      voice.changed({ kind: 'leave', member: view('a', 'left') });
    }
    const before = await one.voice.localState();
    for (let round = 0; round < 20; round++) {
      await two.voice.mergeState(await one.voice.localState(), false);
      await one.voice.mergeState(await two.voice.localState(), false);
    }
    assert.equal(await one.voice.localState(), before);
  });

  test('who left and came back and failed is not taken for left by who missed that', async () => {
    const [one, stale] = [voiced(view('a')), voiced(view('a'))];
    for (const { voice } of [one, stale]) {
      voice.onUserMessage(encodeLeave({ name: 'a', time: 7, prune: false }));
      voice.changed({ kind: 'leave', member: view('a', 'left') });
    }
    one.voice.changed({ kind: 'join', member: view('a') });
    await one.voice.mergeState(await stale.voice.localState(), false);
    one.voice.changed({ kind: 'fail', member: view('a', 'dead') });
    assert.is(one.changes.at(-1), 'fail a dead');
  });

  test('of two that heard the same intents, who saw a member leave convinces who saw it fail', async () => {
    const [one, two] = [voiced(view('a')), voiced(view('a'))];
    one.voice.changed({ kind: 'leave', member: view('a', 'left') });
    two.voice.changed({ kind: 'fail', member: view('a', 'dead') });
    await one.voice.mergeState(await two.voice.localState(), false);
    await two.voice.mergeState(await one.voice.localState(), false);
    assert.is(two.changes.at(-1), 'leave a left');
  });

  test('what is not understood counts, and of an exchange what is understood is taken', async () => {
    const { voice, refused, events } = voiced(view('a'));
    voice.onUserMessage(Uint8Array.of(3, 0xc1));
    voice.onUserMessage(new Uint8Array(20_000));
    voice.onAnswer(view('a'), 1, Uint8Array.of(1, 0xc1));
    await voice.mergeState(Uint8Array.of(2, 0xc1), false);
    assert.equal(refused, ['malformed', 'too_large', 'malformed', 'malformed']);
    const told = [2 ** 50, 3].map((time) => ({ time, events: [{ name: 'x', payload: nobody }] }));
    await voice.mergeState(encodeState({ ...empty, events: told }), false);
    assert.is(refused.length, 5);
    assert.is(events.length, 1);
  });

  test('a state with more names than members can be known is refused', async () => {
    const { voice, refused } = voiced(view('a'));
    const names = Array.from({ length: MAX_MEMBERS + 1 }, (_, at) => String(at));
    const statusTimes = new Map(names.map((name) => [name, 1]));
    await voice.mergeState(encodeState({ ...empty, statusTimes }), false);
    await voice.mergeState(encodeState({ ...empty, left: names }), false);
    assert.equal(refused, ['too_large', 'too_large']);
  });

  test('of intents that the other side knows nothing is told again, unless it joins', async () => {
    const { voice } = voiced(view('a'), view('b'), view('c'));
    for (const name of ['a', 'b', 'c']) voice.changed({ kind: 'join', member: view(name) });
    const times = [
      ['a', 3],
      ['b', 4],
      ['c', 5],
    ] as const;
    await voice.mergeState(encodeState({ ...empty, statusTimes: new Map(times) }), false);
    const heard = encodeState({
      ...empty,
      statusTimes: new Map([
        ['a', 3],
        ['b', 2],
      ]),
    });
    const told = async (join: boolean, said: Uint8Array): Promise<readonly string[]> => {
      const steps = decodingState(await voice.localState(join, said));
      let step = steps.next();
      while (step.done !== true) step = steps.next();
      return [...(step.value?.statusTimes.keys() ?? [])].sort();
    };
    assert.equal(await told(false, heard), ['b', 'c', 'me']);
    assert.equal(await told(true, heard), ['a', 'b', 'c', 'me']);
    assert.equal(await told(false, Uint8Array.of(2, 0xff, 0xff)), ['a', 'b', 'c', 'me']);
  });

  test('who left long ago and is not known any more is here when it comes back', async () => {
    const { voice, changes } = voiced(view('a'));
    const gone = { ...empty, statusTimes: new Map([['b', 4]]), left: ['b'] };
    await voice.mergeState(encodeState(gone), false);
    voice.changed({ kind: 'join', member: view('b') });
    voice.changed({ kind: 'fail', member: view('b', 'dead') });
    assert.is(changes.at(-1), 'fail b dead');
  });

  test('a join that ends while it leaves is not told: it would take the leaving back', () => {
    const { voice, told } = voiced(view('a'));
    void voice.sayLeaving();
    voice.sayJoined();
    assert.is(told.length, 1);
  });
});
