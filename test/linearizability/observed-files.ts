import { performance } from 'node:perf_hooks';

import type { Random } from '../../runtime/seeded-random.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { FileClient, isUntouched, mismatchOf } from '../controllers/storage/file-client.js';
import type { StorageMembers } from '../controllers/storage/storage-members.js';
import type { Call } from './checker.js';
import type { FileInput, FileOutput } from './versioned-file.js';

export type FileCall = Call<FileInput, FileOutput>;

const CLIENT = 'linear';
const PAUSE_MS = 20;

/** Clients that read and write a few names at once, and what they were told. */
export class ObservedFiles implements Disposable {
  /** By name. */
  readonly histories = new Map<string, FileCall[]>();
  readonly #members: StorageMembers;
  readonly #client = new FileClient();
  readonly #random: Random;
  #isOver = false;
  #answered = 0;
  #listeners: (() => void)[] = [];

  constructor(members: StorageMembers, names: readonly string[], random: Random) {
    this.#members = members;
    this.#random = random;
    for (const name of names) this.histories.set(name, []);
  }

  get answered(): number {
    return this.#answered;
  }

  /** Resolves when so many more calls were answered. */
  async moreAnswers(count: number): Promise<void> {
    const wanted = this.#answered + count;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#answered < wanted) return;
        this.#listeners = this.#listeners.filter((one) => one !== look);
        resolve();
      };
      this.#listeners.push(look);
    });
  }

  /** Clients at work until `end`. */
  async work(clients: number): Promise<void> {
    const work = async (client: number): Promise<void> => {
      /** Versions that this client has seen last. */
      const seen = new Map<string, bigint>();
      for (let round = 0; !this.#isOver; round++)
        await this.#call(`${String(client)}-${String(round)}`, seen);
    };
    await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  }

  end(): void {
    this.#isOver = true;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #call(content: string, seen: Map<string, bigint>): Promise<void> {
    const names = [...this.histories.keys()];
    const name = names[Math.floor(this.#random() * names.length)] ?? '';
    const input = this.#wish(content, seen.get(name));
    const { leader } = this.#members;
    const calledAt = performance.now();
    try {
      if (!leader) throw unavailable('NO_LEADER', 'nobody leads');
      const output = await this.#ask(leader.address, name, input);
      this.#note(name, { input, output, calledAt, answeredAt: performance.now() });
      if ('version' in output) seen.set(name, output.version);
      else seen.set(name, 0n);
      this.#answered++;
      for (const listener of this.#listeners) listener();
    } catch (error) {
      if (!(error instanceof FractoryError) || error.reason === 'DATA_LOSS') throw error;
      if (input.act !== 'get' && !isUntouched(error))
        this.#note(name, { input, calledAt, answeredAt: 0 });
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #note(name: string, call: FileCall): void {
    this.histories.get(name)?.push(call);
  }

  #wish(content: string, seen: bigint | undefined): FileInput {
    const kind = this.#random();
    const ifVersion = this.#random() < 0.5 ? seen : undefined;
    if (kind < 0.45) return { act: 'get' };
    return kind < 0.9 ? { act: 'put', content, ifVersion } : { act: 'delete', ifVersion };
  }

  async #ask(address: string, name: string, input: FileInput): Promise<FileOutput> {
    const ref = { client: CLIENT, name };
    try {
      switch (input.act) {
        case 'get': {
          const { file, data } = await this.#client.get(address, ref);
          return { kind: 'file', version: file.version, content: data.toString() };
        }
        case 'put': {
          const content = Buffer.from(input.content);
          const { version } = await this.#client.put(address, ref, content, input.ifVersion);
          return { kind: 'file', version, content: input.content };
        }
        case 'delete':
          await this.#client.delete(address, ref, input.ifVersion);
          return { kind: 'deleted' };
      }
    } catch (error) {
      const version = mismatchOf(error);
      if (version !== undefined) return { kind: 'mismatch', version };
      if (error instanceof FractoryError && error.reason === 'FILE_NOT_FOUND')
        return { kind: 'missing' };
      throw error;
    }
  }
}
