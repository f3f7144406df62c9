import type { Socket } from 'node:net';

import type { GossipMember } from '../core/gossip-member.js';
import type { Message } from '../wire/messages.js';
import { MessageType } from '../wire/messages.js';
import type { WireOptions } from '../wire/packet.js';
import { encodeHeader, encodeMember } from '../wire/push-pull.js';
import type { RemoteMember } from '../wire/push-pull.js';
import { RawWriter } from '../wire/raw-writer.js';
import { sealStream, StreamDecoder } from '../wire/stream.js';
import type { StreamItem } from '../wire/stream.js';
import { WireError } from '../wire/wire-error.js';
import { Slices } from './sliced.js';

/** All that one side of an exchange holds. */
export interface RemoteState {
  readonly join: boolean;
  readonly members: readonly RemoteMember[];
  readonly userState: Uint8Array;
}

/** What somebody says over a connection. */
export type Said =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'state'; readonly state: RemoteState };

/** Reads what the other side says. Rejects with a WireError, and where the connection ends before it was said whole. */
export async function hear(socket: Socket, options: WireOptions): Promise<Said> {
  const decoder = new StreamDecoder(options);
  const slices = new Slices();
  const members: RemoteMember[] = [];
  let join = false;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    decoder.push(chunk as Buffer);
    for (;;) {
      const item: StreamItem | 'more' | 'wait' | 'end' = decoder.next();
      if (item === 'wait' || item === 'end') break;
      if (item !== 'more') {
        if (item.kind === 'message' || item.kind === 'refused') return item;
        if (item.kind === 'header') join = item.header.join;
        else if (item.kind === 'member') members.push(item.member);
        else return { kind: 'state', state: { join, members, userState: item.bytes } };
      }
      await slices.breathe();
    }
  }
  throw new WireError('truncated', 'the connection ended before all was said');
}

/** Says something; `dialled`: this side opened the connection. Resolves when it was handed to the system. */
export async function say(
  socket: Socket,
  plain: Uint8Array,
  options: WireOptions,
  dialled: boolean,
): Promise<void> {
  const slices = new Slices();
  const steps = sealStream(plain, options, dialled);
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) await slices.breathe();
  const frame = step.value;
  await new Promise<void>((resolve, reject) => {
    socket.write(frame, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

const encodedMembers = new WeakMap<object, Uint8Array>();

/** All that a member holds, as it is said in an exchange. Views don't change, so each is encoded once. */
export async function stateOf(
  member: GossipMember,
  userState: Uint8Array,
  join: boolean,
): Promise<Uint8Array> {
  const slices = new Slices();
  const views = [...member.table];
  const writer = new RawWriter().byte(MessageType.pushPull);
  const userStateBytes = userState.length;
  writer.bytes(encodeHeader({ members: views.length, userStateBytes, join }));
  for (const view of views) {
    let encoded = encodedMembers.get(view);
    if (!encoded) {
      encoded = encodeMember(view);
      encodedMembers.set(view, encoded);
    }
    writer.bytes(encoded);
    await slices.breathe();
  }
  return writer.bytes(userState).finish();
}
