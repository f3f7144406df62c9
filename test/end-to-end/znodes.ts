import { ACL, createClient, Id, Permission } from 'node-zookeeper-client';
import type { Client, Exception, Stat } from 'node-zookeeper-client';

/** A member as its znode has it. */
export interface ZnodeMember {
  readonly id: string;
  readonly type: string;
  /** Decimal text: the base of epochs that it was registered with, and the czxid. */
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

  create(path: string, data = '{}'): Promise<unknown> {
    return told((done) => {
      this.#client.create(path, Buffer.from(data), done);
    });
  }

  write(path: string): Promise<unknown> {
    return told((done) => {
      this.#client.setData(path, Buffer.from('{}'), done);
    });
  }

  remove(path: string): Promise<unknown> {
    return told((done) => {
      this.#client.remove(path, done);
    });
  }

  /** Lets everybody do everything with it. */
  open(path: string): Promise<unknown> {
    return told((done) => {
      const everybody = new Id('world', 'anyone');
      this.#client.setACL(path, [new ACL(Permission.ALL, everybody)], -1, done);
    });
  }

  /** In order of type and sequence. */
  async members(dataCenter: string): Promise<ZnodeMember[]> {
    const root = `/fractory/${dataCenter}/members`;
    const found: ZnodeMember[] = [];
    for (const type of (await this.children(root)).sort())
      for (const name of await this.children(`${root}/${type}`)) {
        const { data, stat } = await this.read(`${root}/${type}/${name}`);
        const known = JSON.parse(data.toString()) as ZnodeMember & { epochBase: string };
        const { id, address, pid, epochBase } = known;
        const epoch = String(BigInt(epochBase) + stat.czxid.readBigInt64BE());
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

function told(ask: (done: (error: Error | Exception | null) => void) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    ask((error) => {
      if (error) reject(new Error(String(error), { cause: error }));
      else resolve(undefined);
    });
  });
}
