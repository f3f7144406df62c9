import { Link } from '../../../controllers/kernel/link.js';
import type { FramePipe } from '../../../controllers/kernel/link.js';
import type { Frame, Invocation, Release } from '../../../protos/gen/fractory/v1/controller.js';
import { bytesValue } from '../../../protos/values.js';
import { limitExceeded, unavailable } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';

const hello = { dataCenter: 'test', member: 'a', epoch: 1n };

function invocation(bytes = 0): Invocation {
  return {
    ...{ id: 0n, capability: undefined, onSuccess: [], onFailure: [], budgetMs: 1, receipts: [] },
    ...{ hops: 0, sentAtUs: 0n, traceparent: '', shared: [], attempt: 0, retries: 0 },
    arguments: [{ name: 'input', value: bytesValue('', new Uint8Array(bytes)) }],
  };
}

/** A link whose other end is the test. */
class OneEnd implements FramePipe {
  /** Kinds of the frames of each message that was written. */
  readonly messages: string[][] = [];
  readonly frames: Frame[] = [];
  readonly arrived: Invocation[] = [];
  readonly released: Release[] = [];
  readonly leaving: number[] = [];
  readonly lost: FractoryError[] = [];
  readonly greetings: string[] = [];
  takesMore = true;
  ends = 0;
  readonly link = new Link(
    this,
    {
      hello: ({ member }) => this.greetings.push(member),
      invocation: (received) => this.arrived.push(received),
      release: (received) => this.released.push(received),
      leaving: ({ graceMs }) => this.leaving.push(graceMs),
      lost: (cause) => this.lost.push(cause),
    },
    hello,
  );

  write(frames: Frame[]): boolean {
    this.messages.push(frames.map(({ body }) => body?.$case ?? ''));
    this.frames.push(...frames);
    return this.takesMore;
  }

  end(): void {
    this.ends++;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

suite('link', (test) => {
  test('says hello first, and what is ready in one turn travels as one message', async () => {
    const end = new OneEnd();
    end.link.invoke(invocation(), () => undefined);
    end.link.invoke(invocation(), () => undefined);
    end.link.admit(7n);
    end.link.admit(8n);
    assert.equal(end.messages, []);
    await turn();
    assert.equal(end.messages, [['hello', 'invocation', 'invocation', 'admissions']]);
    const last = end.frames.at(-1)?.body;
    assert.equal(last?.$case === 'admissions' && last.value.ids, [7n, 8n]);
  });

  test('admissions and refusals settle the invocation that they name, once', async () => {
    const end = new OneEnd();
    const heard: string[] = [];
    for (const name of ['first', 'second'])
      end.link.invoke(invocation(), (error) =>
        heard.push(`${name}: ${error?.reason ?? 'admitted'}`),
      );
    await turn();
    const other = new OneEnd();
    other.link.refuse(1n, limitExceeded('max_hops', 9, 8));
    await turn();
    end.link.receive(other.frames);
    end.link.receive([{ body: { $case: 'admissions', value: { ids: [2n, 2n, 1n, 99n] } } }]);
    assert.equal(heard, ['first: LIMIT_EXCEEDED', 'second: admitted']);
    assert.is(end.link.pending, 0);
    assert.equal(end.greetings, ['a']);
  });

  test('waits while the stream is full and goes on when it has drained', async () => {
    const end = new OneEnd();
    end.takesMore = false;
    await turn();
    end.link.invoke(invocation(), () => undefined);
    await turn();
    end.link.admit(1n);
    await turn();
    assert.equal(end.messages, [['hello']]);
    end.takesMore = true;
    end.link.drained();
    await turn();
    assert.equal(end.messages, [['hello'], ['invocation', 'admissions']]);
  });

  test('splits what is too large for one message', async () => {
    const end = new OneEnd();
    for (let count = 0; count < 3; count++)
      end.link.invoke(invocation(3 * 1024 * 1024), () => undefined);
    await turn();
    assert.equal(end.messages, [['hello', 'invocation'], ['invocation'], ['invocation']]);
  });

  test('refuses with LINK_BUSY when too much waits', async () => {
    const end = new OneEnd();
    end.takesMore = false;
    await turn();
    const refused: string[] = [];
    for (let count = 0; count < 8193; count++)
      end.link.invoke(invocation(), (error) => refused.push(error?.reason ?? 'admitted'));
    assert.equal(refused, ['LINK_BUSY']);
    assert.is(end.link.pending, 8192);
    end.link.lose(unavailable('OWNER_LOST', 'the test is over'));
    assert.is(refused.length, 8193);
  });

  test('refuses with LINK_BUSY when too many bytes wait, until they have gone', async () => {
    const end = new OneEnd();
    end.takesMore = false;
    await turn();
    const refused: string[] = [];
    const settle = (error?: FractoryError): void => {
      refused.push(error?.reason ?? 'admitted');
    };
    for (let count = 0; count < 65; count++) end.link.invoke(invocation(1024 * 1024), settle);
    assert.equal(refused, ['LINK_BUSY']);
    end.takesMore = true;
    end.link.drained();
    await turn();
    end.link.invoke(invocation(1024 * 1024), settle);
    assert.is(refused.length, 1);
  });

  test('a lost link settles all that is pending, says so once, and takes nothing any more', async () => {
    const end = new OneEnd();
    const heard: string[] = [];
    const hear = (error?: FractoryError): void => void heard.push(error?.reason ?? 'admitted');
    end.link.invoke(invocation(), hear);
    await turn();
    end.link.invoke(invocation(), hear);
    end.link.lose(unavailable('OWNER_LOST', 'gone'));
    end.link.lose(unavailable('OTHER', 'gone again'));
    assert.equal(heard, ['OWNER_LOST', 'OWNER_LOST']);
    assert.equal(
      end.lost.map((cause) => cause.reason),
      ['OWNER_LOST'],
    );
    assert.is(end.ends, 1);
    end.link.invoke(invocation(), hear);
    end.link.admit(1n);
    end.link.refuse(2n, new Error());
    end.link.drained();
    await turn();
    assert.is(heard.length, 3);
    assert.equal(end.messages, [['hello', 'invocation']]);
  });

  test('nothing that arrives after the loss is heard', () => {
    const end = new OneEnd();
    end.link.lose(unavailable('OWNER_LOST', 'gone'));
    end.link.receive([
      { body: { $case: 'hello', value: hello } },
      { body: { $case: 'invocation', value: invocation() } },
    ]);
    assert.equal([end.greetings, end.arrived], [[], []]);
  });

  test('a settle that invokes again at the loss ends too', () => {
    const end = new OneEnd();
    let count = 0;
    const again = (error?: FractoryError): void => {
      if (error && ++count < 3) end.link.invoke(invocation(), again);
    };
    end.link.invoke(invocation(), again);
    end.link.lose(unavailable('OWNER_LOST', 'gone'));
    assert.is(count, 3);
    assert.is(end.link.pending, 0);
  });
});
