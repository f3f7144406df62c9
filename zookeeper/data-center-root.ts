import { epochBaseAbove, epochBaseAt, parseEpochBase } from './epoch-base.js';
import type { Session, Znode } from './session.js';
import { failedWith, ZooKeeperError } from './zookeeper-error.js';

const ROOT = '/fractory';
/** Writers that raise the base at the same time. */
const MAX_RAISES = 10;

/** The persistent znodes of one data center: made where they are missing, again after ZooKeeper was wiped. */
export class DataCenterRoot {
  readonly #session: Session;
  readonly #path: string;
  /** Folder of the types. */
  readonly membersPath: string;

  constructor(session: Session, dataCenter: string) {
    this.#session = session;
    this.#path = `${ROOT}/${dataCenter}`;
    this.membersPath = `${this.#path}/members`;
  }

  async ensure(): Promise<void> {
    await this.#session.ensure(ROOT, { access: 'shared' });
    await this.#session.ensure(this.#path);
    await this.#session.ensure(this.membersPath);
  }

  /** Makes the folder of a type. Goes through ZooKeeper's leader, so that later reads see all that was written before. */
  async ensureType(type: string): Promise<void> {
    const path = `${this.membersPath}/${type}`;
    try {
      await this.#session.ensure(path);
    } catch (error) {
      if (!failedWith(error, 'no-node')) throw error;
      await this.ensure();
      await this.#session.ensure(path);
    }
  }

  /** What is added to czxids (`epoch-base.ts`): written there by who raised it, else the second of the data center's creation. */
  async epochBase(): Promise<bigint> {
    return baseOf(await this.#read());
  }

  /** From now on epochs of new registrations are greater than `epoch`. */
  async raiseEpochs(epoch: bigint): Promise<void> {
    for (let round = 0; round < MAX_RAISES; round++) {
      const znode = await this.#read();
      const base = epochBaseAbove(epoch);
      if (baseOf(znode) >= base) return;
      const data = Buffer.from(String(base));
      if (await this.#session.write(this.#path, data, znode.version)) return;
    }
    throw new ZooKeeperError('other', `zookeeper: ${this.#path} is changed all the time`);
  }

  async #read(): Promise<Znode> {
    const znode = await this.#session.read(this.#path);
    if (!znode) throw new ZooKeeperError('no-node', `zookeeper: ${this.#path} is gone`);
    return znode;
  }
}

function baseOf({ data, createdMs }: Znode): bigint {
  const atCreation = (epochBaseAt(createdMs) >> 32n) << 32n;
  return parseEpochBase(data.toString()) ?? atCreation;
}
