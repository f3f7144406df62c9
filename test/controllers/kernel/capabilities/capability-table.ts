import { ObjectTable } from '../../../../controllers/kernel/capabilities/objects.js';
import type {
  ObjectTableOptions,
  OwnedMemory,
} from '../../../../controllers/kernel/capabilities/objects.js';
import { hmacSha256 } from '../../../../controllers/kernel/capabilities/hmac.js';
import { RIGHT_READ, RIGHT_WRITE } from '../../../../controllers/kernel/capabilities/token.js';
import type { Hmac } from '../../../../controllers/kernel/capabilities/hmac.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { ManualClock } from '../../../../runtime/clock.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert } from '../../../suite.js';
import { increment } from '../kernels.js';

/** Property tests of capabilities; the seed stands in the names of the suites. */
export const SEED = Number(process.env['FRACTORY_TEST_SEED'] ?? Date.now() % 2 ** 31);

/** A memory that counts how often it was told that it is dead. */
export class FakeMemory implements OwnedMemory {
  readonly sizeBytes: number;
  deaths = 0;

  constructor(sizeBytes = 100) {
    this.sizeBytes = sizeBytes;
  }

  readonly onDead = (): void => {
    this.deaths++;
  };
}

/** A table of one operation, `math.add`, with its clock. Disposing it asserts that no node, watch or timer is left. */
export class CapabilityTable implements Disposable {
  readonly clock = new ManualClock();
  readonly objects: ObjectTable;
  /** HMACs so far. */
  hmacs = 0;

  constructor(limits: Partial<NonNullable<ObjectTableOptions['limits']>> = {}) {
    const hmac: Hmac = (key, message) => {
      this.hmacs++;
      return hmacSha256(key, message);
    };
    this.objects = new ObjectTable('math-1', () => [increment], {
      ...{ clock: this.clock, hmac },
      limits: { max_caveats: 16, max_tree_nodes: 10_000, max_watches: 100, ...limits },
    });
    this.objects.begin(5n);
  }

  /** The root capability of the operation. */
  get root(): Capability {
    return this.objects.roots.get('math.add')!;
  }

  addMemory(sizeBytes?: number): {
    memory: FakeMemory;
    capability: Capability;
    revoker: Capability;
  } {
    const memory = new FakeMemory(sizeBytes);
    return { memory, ...this.objects.addMemory(memory, RIGHT_READ | RIGHT_WRITE) };
  }

  /** Why a capability is refused; undefined if it may be used. */
  reason(capability: Capability, right = 1): string | undefined {
    return reasonOf(() => this.objects.use(capability, right));
  }

  [Symbol.dispose](): void {
    const { objects, clock } = this;
    assert.equal([objects.derived, objects.watches, clock.pending], [0, 0, 0], 'something is left');
  }
}

/** The reason of what is thrown; undefined if nothing is. */
export function reasonOf(body: () => unknown): string | undefined {
  try {
    body();
  } catch (error) {
    if (error instanceof FractoryError) return error.reason;
    throw error;
  }
  return undefined;
}
