import type { Socket } from 'node:net';

import type { GossipMember } from '../core/gossip-member.js';
import type { Budget } from '../wire/budget.js';
import { MAX_MEMBERS } from '../wire/limits.js';
import type { Message } from '../wire/messages.js';
import { MessageType } from '../wire/messages.js';
import type { WireOptions } from '../wire/packet.js';
import { encodeHeader, writeMember } from '../wire/push-pull.js';
import type { RemoteMember } from '../wire/push-pull.js';
import { RawWriter } from '../wire/raw-writer.js';
import { sealStream, StreamDecoder } from '../wire/stream.js';
import type { StreamItem } from '../wire/stream.js';
import { WireError } from '../wire/wire-error.js';
import type { Slices } from './sliced.js';

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

export interface HearOptions {
  readonly wire: WireOptions;
  /** Shared by all that is heard at the same time. */
  readonly budget: Budget;
  readonly slices: Slices;
  /** A member of an exchange was none; the others count. */
  readonly onProblem: (problem: WireError) => void;
}

/** Reads what the other side says. Rejects with a WireError, and where the connection ends before it was said whole. */
export async function hear(socket: Socket, options: HearOptions): Promise<Said> {
  const decoder = new StreamDecoder(options.wire, options.budget);
  const saying = new Saying(options.onProblem);
  const { slices } = options;
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      decoder.push(chunk as Buffer);
      for (let item = decoder.next(); item !== 'wait' && item !== 'end'; item = decoder.next()) {
        const said = item === 'more' ? undefined : saying.take(item);
        if (said) return said;
        await slices.breathe();
      }
    }
  } finally {
    decoder.release();
  }
  throw new WireError('truncated', 'the connection ended before all was said');
}

/** What was heard so far. */
class Saying {
  readonly #members: RemoteMember[] = [];
  readonly #onProblem: (problem: WireError) => void;
  #join = false;

  constructor(onProblem: (problem: WireError) => void) {
    this.#onProblem = onProblem;
  }

  /** All of it, once it is whole. */
  take(item: StreamItem): Said | undefined {
    switch (item.kind) {
      case 'message':
      case 'refused':
        return item;
      case 'header': {
        const { members, join } = item.header;
        if (members > MAX_MEMBERS)
          throw new WireError(
            'too_large',
            `${String(members)} members, at most ${String(MAX_MEMBERS)}`,
          );
        this.#join = join;
        return undefined;
      }
      case 'member':
        this.#members.push(item.member);
        return undefined;
      case 'problem':
        this.#onProblem(item.problem);
        return undefined;
      case 'userState': {
        const state = { join: this.#join, members: this.#members, userState: item.bytes };
        return { kind: 'state', state };
      }
    }
  }
}

/** Says something; `dialled`: this side opened the connection. Resolves when it was handed to the system. */
export async function say(
  socket: Socket,
  plain: Uint8Array,
  options: WireOptions,
  dialled: boolean,
  slices: Slices,
): Promise<void> {
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

/**
 * All that a member holds, as it is said in an exchange. Each is encoded anew: to keep what was encoded of ten thousand members costs more at each collection of garbage than it
 * saves once in minutes.
 */
export async function stateOf(
  member: GossipMember,
  userState: Uint8Array,
  join: boolean,
  slices: Slices,
): Promise<Uint8Array> {
  const views = [...member.table];
  const writer = new RawWriter().byte(MessageType.pushPull);
  const userStateBytes = userState.length;
  writer.bytes(encodeHeader({ members: views.length, userStateBytes, join }));
  for (const view of views) {
    writeMember(writer, view);
    await slices.breathe();
  }
  return writer.bytes(userState).finish();
}
