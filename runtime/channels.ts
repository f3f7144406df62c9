import { Channel, credentials } from '@grpc/grpc-js';
import type { ChannelCredentials, ChannelOptions, ClientOptions, Interceptor } from '@grpc/grpc-js';

/** Windows and message sizes that both sides use. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
export const FLOW_CONTROL_WINDOW_BYTES = 4 * 1024 * 1024;

/** Options of every channel: large windows, fast reconnects, a limit on messages. */
export const channelOptions: ChannelOptions = {
  'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.enable_retries': 0,
  // Statistics of every call that nobody reads.
  'grpc.enable_channelz': 0,
};

/**
 * Options of channels between nodes: a peer that says nothing any more, since a cable was cut or its machine lost power, breaks the connection
 * within 3 s. Asked only while calls are under way, as links always are.
 */
export const linkOptions: ChannelOptions = {
  ...channelOptions,
  'grpc.keepalive_time_ms': 1000,
  'grpc.keepalive_timeout_ms': 2000,
};

export interface ChannelPoolOptions {
  /** Default: `channelOptions`. */
  readonly options?: ChannelOptions;
  /** Default: no TLS. */
  readonly credentials?: ChannelCredentials;
  /** Run on every call, such as one that adds the bearer token. */
  readonly interceptors?: readonly Interceptor[];
}

interface Closable {
  close(): void;
}

/** A generated client class. */
type ClientConstructor<C extends Closable> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** One channel per address, shared by the clients of all services there. Owns them; `close` closes all. */
export class ChannelPool {
  readonly #credentials: ChannelCredentials;
  readonly #interceptors: Interceptor[];
  readonly #options: ChannelOptions;
  readonly #channels = new Map<string, Channel>();
  /** Who was last said to be at each address. */
  #lives: ReadonlyMap<string, string> = new Map();
  readonly #clients = new Map<string, Map<unknown, Closable>>();

  constructor(options: ChannelPoolOptions = {}) {
    this.#credentials = options.credentials ?? credentials.createInsecure();
    this.#interceptors = [...(options.interceptors ?? [])];
    this.#options = options.options ?? channelOptions;
  }

  /** The client of one service at one address; made at the first use. Don't close it: the pool does. */
  client<C extends Closable>(service: ClientConstructor<C>, address: string): C {
    let clients = this.#clients.get(address);
    if (!clients) {
      clients = new Map<unknown, Closable>();
      this.#clients.set(address, clients);
    }
    const known = clients.get(service);
    if (known) return known as C;
    const made = new service(address, this.#credentials, {
      channelOverride: this.#channel(address),
      interceptors: this.#interceptors,
    });
    clients.set(service, made);
    return made;
  }

  /** Closes the channel to an address that is gone. A later use makes a new one. */
  eject(address: string): void {
    this.#clients.delete(address);
    this.#channels.get(address)?.close();
    this.#channels.delete(address);
  }

  /** Closes the channels to all addresses but these. */
  retain(addresses: ReadonlySet<string>): void {
    for (const address of [...this.#channels.keys()])
      if (!addresses.has(address)) this.eject(address);
  }

  /**
   * The same, and closes those where another process is now: they would wait out the backoff of the one before.
   *
   * @param lives by address, which process is there
   */
  retainLives(lives: ReadonlyMap<string, string>): void {
    for (const [address, life] of this.#lives)
      if (lives.has(address) && lives.get(address) !== life) this.eject(address);
    this.#lives = lives;
    this.retain(new Set(lives.keys()));
  }

  close(): void {
    for (const address of [...this.#channels.keys()]) this.eject(address);
  }

  #channel(address: string): Channel {
    let channel = this.#channels.get(address);
    if (!channel) {
      channel = new Channel(address, this.#credentials, this.#options);
      this.#channels.set(address, channel);
    }
    return channel;
  }
}
