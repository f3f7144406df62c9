import { once } from 'node:events';
import { connect } from 'node:net';

import { decodeAll } from '../../../gossip/agent/replicated-map.js';
import { decodeUserEvent } from '../../../gossip/serf/events.js';
import { decodeJoin, decodeLeave } from '../../../gossip/serf/intents.js';
import { SerfType } from '../../../gossip/serf/message-type.js';
import { decodeAnswer, decodeQuery, decodeRelay } from '../../../gossip/serf/queries.js';
import { decodingState } from '../../../gossip/serf/state.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { encodeHeader } from '../../../gossip/wire/push-pull.js';
import type { RemoteMember } from '../../../gossip/wire/push-pull.js';
import { sealStream, StreamDecoder } from '../../../gossip/wire/stream.js';
import { messageOf } from '../../../runtime/errors.js';

const decoders: Readonly<Record<number, (message: Uint8Array) => unknown>> = {
  [SerfType.leave]: decodeLeave,
  [SerfType.join]: decodeJoin,
  [SerfType.userEvent]: decodeUserEvent,
  [SerfType.query]: decodeQuery,
  [SerfType.queryResponse]: decodeAnswer,
  [SerfType.relay]: decodeRelay,
};

/** What is wrong with a message of an agent to other agents; undefined = nothing. Unknown ones are passed over by them. */
export function faultOfSerf(message: Uint8Array): string | undefined {
  const [type] = message;
  if (type === undefined) return 'an empty message of Serf';
  try {
    decoders[type]?.(message);
    return undefined;
  } catch (error) {
    return `a message of Serf that is not to be read: ${messageOf(error)}`;
  }
}

/** What is wrong with what an agent tells of itself in exchanges: its peers would refuse all of it. `hasMap`: it is one of ours. */
export function faultOfState(state: Uint8Array, hasMap: boolean): string | undefined {
  if (state.length === 0) return 'no state';
  try {
    const steps = decodingState(state);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    if (!step.value) return 'a state that is none of Serf';
    if (hasMap) Array.from(decodeAll(step.value.ours));
    return undefined;
  } catch (error) {
    return `a state that is not to be read: ${messageOf(error)}`;
  }
}

/** All that a member tells in an exchange. */
export interface Told {
  readonly members: readonly RemoteMember[];
  readonly state: Uint8Array;
}

/** What a member tells one that knows nobody; undefined where it has not said it in time. */
export async function asked(
  port: number,
  wire: WireOptions,
  timeoutMs: number,
  host = '127.0.0.1',
): Promise<Told | undefined> {
  const socket = connect(port, host);
  socket.on('error', () => undefined);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const members: RemoteMember[] = [];
  const told: Uint8Array[] = [];
  const decoder = new StreamDecoder({ ...wire, expectsLabel: false });
  socket.on('data', (chunk) => {
    try {
      decoder.push(chunk);
      for (let item = decoder.next(); item !== 'wait' && item !== 'end'; item = decoder.next())
        if (item === 'more') continue;
        else if (item.kind === 'member') members.push(item.member);
        else if (item.kind === 'userState') told.push(item.bytes);
    } catch {
      // What it says there is looked at by others.
      socket.destroy();
    }
    if (told.length > 0) socket.destroy();
  });
  socket.write(nothingKnown(wire));
  await once(socket, 'close');
  clearTimeout(timer);
  const [state] = told;
  return state && { members, state };
}

function nothingKnown(wire: WireOptions): Uint8Array {
  const header = encodeHeader({ members: 0, userStateBytes: 0, join: false });
  const steps = sealStream(Buffer.concat([Uint8Array.of(6), header]), wire, true);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
