import { createClient } from 'node-zookeeper-client';
import type { Client, Stat } from 'node-zookeeper-client';

/** A member as its znode has it. */
export interface ZnodeMember {
  readonly id: string;
  readonly type: string;
  /** Decimal text of the czxid. */
  readonly epoch: string;
  readonly sequence: number;
  readonly address: string;
  readonly pid: number;
}

/** The znodes of a data center, read with ZooKeeper's own client and none of the project's code. */
export class Znodes implements AsyncDisposable {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  /** Without a secret it is nobody in particular. */
  static async connect(connect: string, secret?: string): Promise<Znodes> {
    const client = createClient(connect, { sessionTimeout: 10_000 });
    if (secret !== undefined) client.addAuthInfo('digest', Buffer.from(`fractory:${secret}`));
    await new Promise<void>((resolve) => {
      client.once('connected', resolve);
      client.connect();
    });
    return new Znodes(client);
  }

  children(path: string): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#client.getChildren(path, (error, children) => {
        if (error) reject(new Error(String(error), { cause: error }));
        else resolve(children);
      });
    });
  }

  read(path: string): Promise<{ data: Buffer; stat: Stat }> {
    return new Promise((resolve, reject) => {
      this.#client.getData(path, (error, data, stat) => {
        if (error) reject(new Error(String(error), { cause: error }));
        else resolve({ data, stat });
      });
    });
  }

  /** In order of type and sequence. */
  async members(dataCenter: string): Promise<ZnodeMember[]> {
    const root = `/fractory/${dataCenter}/members`;
    const found: ZnodeMember[] = [];
    for (const type of (await this.children(root)).sort())
      for (const name of await this.children(`${root}/${type}`)) {
        const { data, stat } = await this.read(`${root}/${type}/${name}`);
        const { id, address, pid } = JSON.parse(data.toString()) as ZnodeMember;
        const epoch = String(stat.czxid.readBigInt64BE());
        found.push({ id, type, epoch, sequence: Number(name.slice(-10)), address, pid });
      }
    return found.sort((a, b) =>
      a.type < b.type ? -1 : a.type > b.type ? 1 : a.sequence - b.sequence,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#client.once('disconnected', resolve);
      this.#client.close();
    });
  }
}
