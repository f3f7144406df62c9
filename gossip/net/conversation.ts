import type { Socket } from 'node:net';

import { FractoryError, messageOf, unavailable } from '../../runtime/errors.js';
import { Understood } from '../core/compatibility.js';
import type { GossipMember } from '../core/gossip-member.js';
import { isSameAlive } from '../core/member.js';
import type { MemberView } from '../core/member.js';
import type { Budget } from '../wire/budget.js';
import { MAX_MEMBERS } from '../wire/limits.js';
import type { Message } from '../wire/messages.js';
import { MessageType } from '../wire/messages.js';
import type { WireOptions } from '../wire/packet.js';
import { encodeHeader, writeMember } from '../wire/push-pull.js';
import type { RemoteMember } from '../wire/push-pull.js';
import { RawWriter } from '../wire/raw-writer.js';
import { spread } from '../wire/spread.js';
import { sealStream, StreamDecoder } from '../wire/stream.js';
import type { StreamItem } from '../wire/stream.js';
import { WireError } from '../wire/wire-error.js';
import { KeptMembers } from './kept-members.js';
import type { Slices } from './sliced.js';

/** All that one side of an exchange holds. */
export interface RemoteState {
  readonly join: boolean;
  readonly members: KeptMembers;
  /** By its members; who hears it adds its own. */
  readonly understood: Understood;
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

/**
 * Reads what the other side says, and returns what `take` makes of it: until then it counts as held. Rejects with a WireError, also where the connection ends before all was said, and
 * with what breaks the connection: UNAVAILABLE, or DEADLINE_EXCEEDED.
 */
export async function hear<T>(
  socket: Socket,
  options: HearOptions,
  take: (said: Said) => T | Promise<T>,
): Promise<T> {
  const decoder = new StreamDecoder(options.wire, options.budget);
  try {
    return await take(await wholeOf(socket, decoder, options));
  } finally {
    decoder.release();
  }
}

async function wholeOf(
  socket: Socket,
  decoder: StreamDecoder,
  { slices, onProblem }: HearOptions,
): Promise<Said> {
  const saying = new Saying(onProblem);
  for await (const chunk of chunksOf(socket)) {
    decoder.push(chunk);
    if (slices.isOver) await slices.breathe();
    for (let item = decoder.next(); item !== 'wait' && item !== 'end'; item = decoder.next()) {
      const said = item === 'more' ? undefined : saying.take(item);
      if (said) return said;
      if (slices.isOver) await slices.breathe();
    }
  }
  throw new WireError('truncated', 'the connection ended before all was said');
}

/** What breaks the connection is told apart here from what breaks in whoever reads. */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
  } catch (error) {
    throw broken(error);
  }
}

function broken(error: unknown): FractoryError {
  if (error instanceof FractoryError) return error;
  return unavailable('BROKEN', `the connection broke: ${messageOf(error)}`, { cause: error });
}

/** What was heard so far. */
class Saying {
  readonly #members = new KeptMembers();
  readonly #understood = new Understood();
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
        this.#members.add(item.member);
        this.#understood.by(item.member);
        return undefined;
      case 'problem':
        this.#onProblem(item.problem);
        return undefined;
      case 'userState': {
        const said = { members: this.#members, understood: this.#understood };
        return { kind: 'state', state: { join: this.#join, ...said, userState: item.bytes } };
      }
    }
  }
}

/** Says something; `dialled`: this side opened the connection. Resolves when it was handed to the system. Rejects with what breaks the connection: UNAVAILABLE, or DEADLINE_EXCEEDED. */
export async function say(
  socket: Socket,
  plain: Uint8Array,
  options: WireOptions,
  dialled: boolean,
  slices: Slices,
): Promise<void> {
  const frame = await slices.run(sealStream(plain, options, dialled));
  await new Promise<void>((resolve, reject) => {
    socket.write(frame, (error) => {
      if (error) reject(broken(error));
      else resolve();
    });
  });
}

/** What is said beside the members. */
export interface StateOptions {
  readonly userState: Uint8Array;
  readonly join: boolean;
  /** What the other side has just said: members that it holds for the same are not told to it again. */
  readonly heard: Iterable<RemoteMember>;
}

const FIRST_BYTES = 256;
/** Of a member in an exchange, about: where they are longer, all is moved once or twice as it grows. */
const VIEW_BYTES = 160;

/**
 * All that a member holds, as it is said in an exchange. Each is encoded anew: to keep what was encoded of ten thousand members costs more at each collection of garbage than it
 * saves once in minutes.
 */
export async function stateOf(
  member: GossipMember,
  { userState, join, heard }: StateOptions,
  slices: Slices,
): Promise<Uint8Array> {
  const known = new Set<MemberView>();
  for (const remote of heard) {
    const view = member.table.get(remote.name);
    if (view && view.name !== member.name && isSameAlive(remote, view)) known.add(view);
    if (slices.isOver) await slices.breathe();
  }
  const views = [...member.table].filter((view) => !known.has(view));
  const userStateBytes = userState.length;
  const header = encodeHeader({ members: views.length, userStateBytes, join });
  const writer = new RawWriter(FIRST_BYTES + views.length * VIEW_BYTES + userStateBytes);
  writer.byte(MessageType.pushPull).bytes(header);
  for (const view of spread(views)) {
    writeMember(writer, view);
    if (slices.isOver) await slices.breathe();
  }
  return writer.bytes(userState).written;
}
