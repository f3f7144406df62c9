import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';

import {
  ControllerServiceClient,
  ControllerServiceService,
  LinkRequest,
  LinkResponse,
} from '../../protos/gen/fractory/v1/controller.js';
import { encode } from '../../protos/encode.js';
import type { Hello, Invocation, Release } from '../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../protos/status.js';
import type { ChannelPool } from '../../runtime/channels.js';
import { messageOf, unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Directory, MemberKey } from './directory.js';
import { Link } from './link.js';
import type { Settle } from './link.js';
import { noWireCounts, PendingCounts } from './wire-counts.js';
import type { WireCounts, WireCountsOf } from './wire-counts.js';

/** The method of links, with a serializer that copies once. */
export const LINK_METHOD = {
  ...ControllerServiceService.link,
  requestSerialize: (message: Counted<LinkRequest>): Buffer =>
    told(message, encode(LinkRequest, message)),
  responseSerialize: (message: Counted<LinkResponse>): Buffer =>
    told(message, encode(LinkResponse, message)),
  requestDeserialize: (bytes: Buffer): Counted<LinkRequest> => ({
    frames: LinkRequest.decode(bytes).frames,
    encodedBytes: bytes.length,
  }),
  responseDeserialize: (bytes: Buffer): Counted<LinkResponse> => ({
    frames: LinkResponse.decode(bytes).frames,
    encodedBytes: bytes.length,
  }),
};

/** A message of a link, with what the wire counts want to know. */
type Counted<T> = T & {
  /** Of one that arrived. */
  readonly encodedBytes?: number;
  /** Hears the size of one that is sent. */
  readonly counts?: WireCounts;
};

/** What gRPC puts before each message, bytes. */
const GRPC_HEADER_BYTES = 5;

function told({ counts }: { readonly counts?: WireCounts }, bytes: Buffer): Buffer {
  counts?.sent(bytes.length + GRPC_HEADER_BYTES, 1);
  return bytes;
}

export interface LinksOptions {
  readonly dataCenter: string;
  readonly member: string;
  /** This member's epoch now; 0 while it is not registered. */
  readonly epoch: () => bigint;
  readonly directory: Directory;
  readonly channels: ChannelPool;
  readonly log: Logger;
  /** Default: nothing is counted. */
  readonly wire?: WireCountsOf;
  /** An invocation arrived over a link. */
  readonly onInvocation: (invocation: Invocation, link: Link) => void;
  /** The runs of another node need steps of this one no more. */
  readonly onRelease: (release: Release) => void;
}

type LinkStream =
  ClientDuplexStream<LinkRequest, LinkResponse> | ServerDuplexStream<LinkRequest, LinkResponse>;

/** Something to do with a link that is not there yet. Neither may throw. */
interface Waiting {
  readonly use: (link: Link) => void;
  readonly failed: (error: unknown) => void;
}

const keyOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

/**
 * The links of one controller, one per other controller and life of it: those that it opened and those that others opened to it serve alike.
 */
export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<string, Link>();
  readonly #lostListeners = new Map<string, Set<() => void>>();
  readonly #all = new Set<Link>();
  /** By member and life: what came while its link was dialled. */
  readonly #waiting = new Map<string, Waiting[]>();
  #seen = new Set<string>();
  #closed = false;
  readonly #unsubscribe: () => void;

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#unsubscribe = options.directory.subscribe(() => {
      this.#endWithGone();
    });
  }

  get size(): number {
    return this.#all.size;
  }

  /** Sends an invocation to the owner of its capability. `settle` is called once, whatever happens. */
  invoke(owner: MemberKey, invocation: Invocation, settle: Settle): void {
    const key = keyOf(owner);
    const link = this.#waiting.has(key) ? undefined : this.#links.get(key);
    if (link) link.invoke(invocation, settle);
    else
      this.#afterDial(owner, {
        use: (dialled) => {
          dialled.invoke(invocation, settle);
        },
        failed: (error) => {
          settle(toFractoryError(error));
        },
      });
  }

  /** Sends a release; a member that can't be reached keeps what it has until its leases end. */
  release(member: MemberKey, release: Release): void {
    const key = keyOf(member);
    const link = this.#waiting.has(key) ? undefined : this.#links.get(key);
    if (link) link.release(release);
    else
      this.#afterDial(member, {
        use: (dialled) => {
          dialled.release(release);
        },
        failed: (error) => {
          this.#options.log.debug({ err: error, member: member.id }, 'release was not sent');
        },
      });
  }

  /** Calls `listener` once when the other member's present life ends or the link to it breaks; returns what cancels it. */
  watch(owner: MemberKey, listener: () => void): () => void {
    const key = keyOf(owner);
    const listeners = this.#lostListeners.get(key) ?? new Set();
    this.#lostListeners.set(key, listeners);
    listeners.add(listener);
    if (!this.#links.has(key))
      this.#afterDial(owner, {
        use: () => undefined,
        failed: () => {
          this.#tellLost(key);
        },
      });
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#lostListeners.get(key) === listeners)
        this.#lostListeners.delete(key);
    };
  }

  /** Takes a link that another controller opened. */
  accept(stream: ServerDuplexStream<LinkRequest, Counted<LinkResponse>>): void {
    const counts = new PendingCounts();
    const write = (frames: LinkResponse['frames']): boolean => stream.write({ frames, counts });
    this.#attach(stream, { write, end: () => stream.end() }, counts);
  }

  /** Tells all other ends that this member leaves and finishes within `graceMs` what it has begun: they don't take it for lost. */
  leave(graceMs: number): void {
    for (const link of this.#all) link.leave({ graceMs });
  }

  /** Resolves when what was ready to be sent has been handed to the streams. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => setImmediate(resolve));
    });
  }

  /** Ends all links and opens none any more; what is pending fails. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    for (const link of [...this.#all]) link.lose(nodeStopping());
  }

  /**
   * What waits for the same link uses it in the order in which it came, and before anything that comes when the link is there: a release that overtook an invocation
   * of its run would refuse it.
   */
  #afterDial(owner: MemberKey, one: Waiting): void {
    const known = this.#waiting.get(keyOf(owner));
    if (known) known.push(one);
    else this.#dialFor(owner, [one]);
  }

  /** All have the patience of a whole dial: who came in the course of one that fails waits for one more, together with all that did. */
  #dialFor(owner: MemberKey, waiting: Waiting[]): void {
    const key = keyOf(owner);
    const fromTheBeginning = waiting.length;
    this.#waiting.set(key, waiting);
    this.#dial(owner).then(
      (link) => {
        this.#begin(key, link);
      },
      (error: unknown) => {
        const over = waiting.splice(0, this.#closed ? waiting.length : fromTheBeginning);
        if (waiting.length > 0) this.#dialFor(owner, waiting);
        else if (this.#waiting.get(key) === waiting) this.#waiting.delete(key);
        for (const { failed } of over) failed(error);
      },
    );
  }

  /** The link is there: what has waited goes first. */
  #begin(key: string, link: Link): void {
    const waiting = this.#waiting.get(key) ?? [];
    for (let one = waiting.shift(); one; one = waiting.shift()) one.use(link);
    this.#waiting.delete(key);
  }

  async #dial(owner: MemberKey): Promise<Link> {
    const { directory, channels } = this.#options;
    const member = directory.find(owner) ?? (await directory.findSoon(owner));
    if (!member) throw directory.whyGone(owner);
    if (this.#closed) throw nodeStopping();
    // Somebody may have dialled in the meantime.
    const known = this.#links.get(keyOf(owner));
    if (known) return known;
    const client = channels.client(ControllerServiceClient, member.address);
    const { path, requestSerialize, responseDeserialize } = LINK_METHOD;
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const counts = new PendingCounts();
    const write = (frames: LinkRequest['frames']): boolean => stream.write({ frames, counts });
    const end = (): void => {
      // Lets what was written go out first.
      stream.end();
      setTimeout(() => {
        stream.cancel();
      }, END_MS).unref();
    };
    return this.#attach(stream, { write, end }, counts, owner);
  }

  #attach(
    stream: LinkStream,
    pipe: ConstructorParameters<typeof Link>[0],
    counts: PendingCounts,
    dialled?: MemberKey,
  ): Link {
    let key = dialled && keyOf(dialled);
    let met: MemberKey | undefined;
    const wire = this.#options.wire ?? noWireCounts;
    if (dialled) counts.settle(wire(dialled.id, 'link'));
    const link: Link = new Link(
      pipe,
      {
        hello: (hello) => {
          if (hello.dataCenter !== this.#options.dataCenter) {
            link.lose(otherDataCenter(hello.dataCenter));
            return;
          }
          counts.settle(wire(hello.member, 'link'));
          met = { id: hello.member, epoch: hello.epoch };
          key ??= keyOf(met);
          if (this.#links.has(key)) return;
          this.#links.set(key, link);
          this.#begin(key, link);
        },
        invocation: (invocation) => {
          this.#options.onInvocation(invocation, link);
        },
        release: (release) => {
          this.#options.onRelease(release);
        },
        leaving: ({ graceMs }) => {
          const peer = dialled ?? met;
          if (peer) this.#options.directory.leaves(peer, graceMs);
        },
        lost: (cause) => {
          this.#forget(link, key, cause);
          const peer = dialled ?? met;
          if (!peer) return;
          this.#options.directory.broke(peer);
          this.#options.directory.hasLeft(peer);
        },
      },
      this.#hello(),
    );
    this.#all.add(link);
    if (key !== undefined) this.#links.set(key, link);
    stream.on('data', (message: Counted<LinkRequest | LinkResponse>) => {
      counts.received((message.encodedBytes ?? 0) + GRPC_HEADER_BYTES, 1);
      link.receive(message.frames);
    });
    stream.on('drain', () => {
      link.drained();
    });
    stream.on('error', (error: Error) => {
      link.lose(linkBroken(key, error));
    });
    for (const event of ['end', 'close', 'cancelled'] as const)
      stream.on(event, () => {
        link.lose(linkBroken(key));
      });
    return link;
  }

  #hello(): Hello {
    const { dataCenter, member, epoch } = this.#options;
    return { dataCenter, member, epoch: epoch() };
  }

  #forget(link: Link, key: string | undefined, cause: FractoryError): void {
    this.#all.delete(link);
    if (key === undefined || this.#links.get(key) !== link) return;
    this.#links.delete(key);
    this.#options.log.debug({ peer: key, cause: cause.message }, 'link ended');
    this.#tellLost(key);
  }

  #tellLost(key: string): void {
    const listeners = this.#lostListeners.get(key);
    this.#lostListeners.delete(key);
    for (const listener of listeners ?? []) listener();
  }

  #endWithGone(): void {
    const present = new Set(this.#options.directory.reachable().map(keyOf));
    // A link may be older than the news of the member at its other end: only who was there can be gone.
    const isGone = (key: string): boolean => this.#seen.has(key) && !present.has(key);
    for (const [key, link] of [...this.#links])
      if (isGone(key)) link.lose(linkBroken(key, new Error('it left the data center')));
    for (const key of [...this.#lostListeners.keys()]) if (isGone(key)) this.#tellLost(key);
    this.#seen = present;
  }
}

function nodeStopping(): FractoryError {
  return unavailable('NODE_STOPPING', 'the node is stopping');
}

/** How long an ended link may take to end at the other side too, ms. */
const END_MS = 500;

function otherDataCenter(name: string): FractoryError {
  return unavailable('OTHER_DATA_CENTER', `the other end of the link belongs to ${name}`);
}

function linkBroken(key: string | undefined, error?: Error): FractoryError {
  const why = error ? `: ${messageOf(error)}` : '';
  return unavailable(
    'OWNER_LOST',
    `the link to ${key ?? 'a controller'} broke before it answered${why}`,
    {
      ...(error ? { cause: error } : {}),
    },
  );
}
