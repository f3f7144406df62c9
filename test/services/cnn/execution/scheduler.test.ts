import { BatchScheduler } from '../../../../services/cnn/execution/scheduler.js';
import type { Decision } from '../../../../services/cnn/execution/scheduler.js';
import type { QueueSettings } from '../../../../services/cnn/execution/model-queue.js';
import { assert, suite } from '../../../suite.js';

interface Item {
  readonly name: string;
  readonly batchKey: string;
  readonly deadlineMs: number;
}

/** A scheduler and what it decided, one word each: `0:a+b` = worker 0 runs a and b together, `-a full` = a is dropped. */
class Transcript {
  readonly scheduler = new BatchScheduler<Item>();
  nowMs = 0;
  readonly #items = new Map<string, Item>();

  constructor(settings: Partial<QueueSettings> = {}, workers = 1, model = 'm') {
    this.model(
      model,
      settings,
      Array.from({ length: workers }, (_, worker) => worker),
    );
  }

  model(model: string, settings: Partial<QueueSettings>, workers: readonly number[]): void {
    this.scheduler.setModel(model, { maxBatch: 1, maxDelayMs: 0, maxQueued: 100, ...settings });
    for (const worker of workers) this.scheduler.offer(worker, model, this.nowMs);
  }

  /** A run of that length has been seen. */
  learn(ms: number, model = 'm'): void {
    this.ask('learned', { model });
    this.scheduler.done(0, ms, this.nowMs);
  }

  ask(names: string, options: { model?: string; deadlineMs?: number; key?: string } = {}): string {
    const { model = 'm', deadlineMs = Infinity, key = 'k' } = options;
    return names
      .split(' ')
      .map((name) => {
        const item = { name, batchKey: key, deadlineMs };
        this.#items.set(name, item);
        return told(this.scheduler.request(model, item, this.nowMs));
      })
      .filter((line) => line !== '')
      .join(' ');
  }

  done(worker: number, computeMs: number | undefined = 30): string {
    return told(this.scheduler.done(worker, computeMs, this.nowMs));
  }

  cancel(name: string, model = 'm'): boolean {
    const item = this.#items.get(name);
    if (!item) throw new Error(`nobody asked for ${name}`);
    return this.scheduler.cancel(model, item);
  }

  tick(nowMs: number): string {
    this.nowMs = nowMs;
    return told(this.scheduler.tick(nowMs));
  }
}

function told(decisions: readonly Decision<Item>[]): string {
  return decisions
    .map((decision) =>
      decision.kind === 'start'
        ? `${String(decision.batch.worker)}:${decision.batch.items.map(({ name }) => name).join('+')}`
        : `-${decision.item.name} ${decision.refusal.kind}`,
    )
    .join(' ');
}

suite('the batch scheduler: when and where', (test) => {
  test('a lone request starts at once, also where batches are allowed', () => {
    const it = new Transcript({ maxBatch: 8 });
    assert.is(it.ask('a'), '0:a');
  });

  test('requests take the free workers before they share one', () => {
    const it = new Transcript({ maxBatch: 8 }, 3);
    assert.is(it.ask('a b c'), '0:a 1:b 2:c');
  });

  test('what waited for a worker becomes a batch, up to the largest', () => {
    const it = new Transcript({ maxBatch: 3 });
    it.learn(30);
    assert.is(it.ask('a b c d e'), '0:a');
    assert.is(it.done(0), '0:b+c+d');
    assert.is(it.done(0), '0:e');
    assert.is(it.done(0), '');
  });

  test('a batch leaves its share to a worker that is free before it could end', () => {
    const it = new Transcript({ maxBatch: 4 }, 2);
    it.learn(30);
    assert.is(it.ask('a'), '0:a');
    it.nowMs = 10;
    assert.is(it.ask('b c d'), '1:b');
    it.nowMs = 30;
    assert.is(it.done(0), '0:c', 'b ends in 10 ms: sooner than c and d together');
    it.nowMs = 40;
    assert.is(it.done(1), '1:d');
  });

  test('it takes all where the others compute for longer', () => {
    const it = new Transcript({ maxBatch: 4 }, 2);
    it.learn(30);
    it.ask('a');
    it.nowMs = 29;
    it.ask('b c d');
    assert.is(it.done(0), '0:c+d', 'b takes another 30 ms');
  });

  test('without batches each runs alone, in the order of arrival', () => {
    const it = new Transcript();
    it.learn(30);
    assert.is(it.ask('a b c'), '0:a');
    assert.is(it.done(0), '0:b');
    assert.is(it.done(0), '0:c');
  });

  test('only requests of one key share a run, and none is overtaken by more than that', () => {
    const it = new Transcript({ maxBatch: 4 });
    it.learn(30);
    it.ask('a');
    it.ask('b', { key: 'x' });
    it.ask('c', { key: 'y' });
    it.ask('d', { key: 'x' });
    it.ask('e f', { key: '' });
    assert.is(it.done(0), '0:b+d');
    assert.is(it.done(0), '0:c');
    assert.is(it.done(0), '0:e');
    assert.is(it.done(0), '0:f');
  });

  test('with short runs a batch stands at the door, once more waits than there are workers', () => {
    const it = new Transcript({}, 2);
    it.learn(1);
    assert.is(it.ask('a b c'), '0:a 1:b');
    assert.is(it.ask('d'), '0:c', 'c goes ahead: d remains for the other worker');
    assert.is(it.ask('e'), '1:d');
    assert.is(
      it.done(0, 1),
      '',
      'c runs already, one that waits is kept for whoever is free first',
    );
    assert.is(it.done(1, 1), '');
    assert.is(it.done(0, 1), '0:e');
  });

  test('what stands at the door is a fair share where batches compute no faster', () => {
    const it = new Transcript({ maxBatch: 4 }, 2);
    it.learn(1);
    assert.is(it.ask('a b c d e f g h'), '0:a 1:b 0:c 1:d');
    assert.is(it.done(0, 1), '0:e+f', 'of e f g h, half is for the other worker');
    assert.is(it.done(1, 1), '1:g');
    assert.is(it.done(0, 1), '', 'h waits for whoever is free first');
  });

  test('where a batch computes faster, only a full one stands at the door', () => {
    const it = new Transcript({ maxBatch: 2 });
    it.learn(4);
    it.ask('a b c');
    it.done(0, 4);
    it.done(0, 4);
    for (let round = 0; round < 20; round++) {
      it.ask('d e f g');
      while (!it.scheduler.isIdle) it.done(0, 4);
    }
    assert.is(it.ask('h i'), '0:h');
    assert.is(it.ask('j'), '0:i+j');
  });

  test('with long runs nothing is bound to a worker before its time', () => {
    const it = new Transcript({}, 2);
    it.learn(50);
    assert.is(it.ask('a b c d e'), '0:a 1:b');
    assert.is(it.done(1, 50), '1:c');
  });

  test('a request waits for others only where a delay was asked for, and no longer', () => {
    const it = new Transcript({ maxBatch: 3, maxDelayMs: 5 });
    assert.is(it.ask('a'), '');
    assert.is(it.scheduler.wakeAtMs(), 5);
    assert.is(it.tick(4), '');
    assert.is(it.tick(5), '0:a');
    it.done(0);
    assert.is(it.ask('b c'), '');
    assert.is(it.ask('d'), '0:b+c+d', 'the batch is full');
  });

  test('a delay does not make a request miss its deadline', () => {
    const it = new Transcript({ maxBatch: 3, maxDelayMs: 50 });
    it.scheduler.tick(0);
    it.ask('learned');
    it.tick(50);
    it.done(0, 4);
    it.ask('a', { deadlineMs: 70 });
    assert.is(it.scheduler.wakeAtMs(), 62);
    assert.is(it.tick(62), '0:a');
  });
});

suite('the batch scheduler: several models', (test) => {
  test('models take turns by the computing time they have had', () => {
    const it = new Transcript();
    it.model('slow', {}, [0]);
    it.learn(30);
    it.learn(90, 'slow');
    it.ask('a b c d e');
    it.ask('A B C', { model: 'slow' });
    const order: string[] = [];
    for (let next = it.done(0, 30); next !== '';) {
      const name = next.slice(2);
      order.push(name);
      next = it.done(0, name === name.toLowerCase() ? 30 : 90);
    }
    const text = order.join('');
    assert.is(text.length, 7);
    assert.ok(text.indexOf('A') <= 3 && text.indexOf('e') < text.indexOf('C'), text);
  });

  test('a model that comes back after a pause does not get what it left', () => {
    const it = new Transcript();
    it.model('other', {}, [0]);
    it.learn(30, 'other');
    for (let round = 0; round < 20; round++) it.learn(30);
    it.ask('a b c d');
    it.ask('A B C D', { model: 'other' });
    const order = [it.done(0), it.done(0), it.done(0), it.done(0)].join(' ');
    assert.ok(/[a-d]/.test(order.replaceAll('0:', '')) && /[A-D]/.test(order), order);
  });

  test('a model runs only where it was offered', () => {
    const it = new Transcript();
    it.model('other', {}, [1]);
    assert.is(it.ask('a b'), '0:a');
    assert.is(it.ask('A', { model: 'other' }), '1:A');
    it.scheduler.withdraw(0, 'm');
    assert.is(it.done(0), '');
    it.scheduler.offer(1, 'm', 0);
    assert.is(it.done(1), '1:b');
  });
});

suite('the batch scheduler: what is dropped', (test) => {
  test('past the queue limit a request is refused with the time until there is room', () => {
    const it = new Transcript({ maxQueued: 3 });
    it.learn(40);
    assert.is(it.ask('a b c d'), '0:a -d full');
    const [drop] = it.scheduler.request('m', { name: 'e', batchKey: '', deadlineMs: Infinity }, 0);
    assert.ok(drop?.kind === 'drop' && drop.refusal.kind === 'full');
    // Two wait and one has just begun: half of 120 ms.
    assert.is(drop.refusal.retryAfterMs, 60);
  });

  test('what can not make its deadline is refused before it costs', () => {
    const it = new Transcript();
    it.learn(40);
    assert.is(it.ask('a', { deadlineMs: 30 }), '-a hopeless', 'its own run is too long');
    assert.is(it.ask('b', { deadlineMs: 50 }), '0:b');
    assert.is(it.ask('c', { deadlineMs: 75 }), '-c hopeless', 'b and its own run');
    assert.is(it.ask('d', { deadlineMs: 85 }), '');
    assert.is(it.ask('e', { deadlineMs: 110 }), '-e hopeless', 'b, d and its own run');
  });

  test('nothing is refused for its deadline as long as nobody knows how long a run takes', () => {
    const it = new Transcript();
    assert.is(it.ask('a', { deadlineMs: 1 }), '0:a');
  });

  test('one slow run does not refuse everybody for ever', () => {
    const it = new Transcript();
    it.learn(1000);
    let refused = 0;
    while (it.ask('a', { deadlineMs: 100 }) !== '0:a') refused++;
    assert.ok(refused > 5 && refused < 40, String(refused));
  });

  test('what expires in the queue is dropped there, and when its turn comes', () => {
    const it = new Transcript();
    it.ask('a b', { deadlineMs: 10 });
    it.ask('c');
    assert.is(it.scheduler.wakeAtMs(), 10);
    assert.is(it.tick(9), '');
    assert.is(it.tick(10), '-b expired');
    assert.is(it.done(0, 1), '0:c');
    const late = new Transcript();
    late.learn(40);
    late.ask('a', { deadlineMs: 100 });
    late.ask('b', { deadlineMs: 100 });
    late.nowMs = 70;
    assert.is(late.done(0, 70), '-b hopeless');
  });

  test('a cancelled request leaves the queue; one that runs does not', () => {
    const it = new Transcript();
    it.learn(30);
    it.ask('a b c');
    assert.equal([it.cancel('a'), it.cancel('b'), it.cancel('b')], [false, true, false]);
    assert.is(it.done(0), '0:c');
  });

  test('a worker that dies loses its batch, and what stood at its door goes first again', () => {
    const it = new Transcript({}, 2);
    it.learn(1);
    it.ask('a b c d e');
    assert.is(told(it.scheduler.lost(0, true, 0)), '');
    assert.is(it.scheduler.underWay('m'), 4);
    assert.is(it.done(1, 1), '1:c', 'd runs, c is at the door: before e, which came later');
    assert.is(told(it.scheduler.offer(0, 'm', 0)), '0:e');
  });

  test('a worker that dies before it has begun loses nothing', () => {
    const it = new Transcript();
    it.ask('a');
    it.scheduler.lost(0, false, 0);
    assert.is(told(it.scheduler.offer(1, 'm', 0)), '1:a');
  });

  test('a model that is removed gives back what waited', () => {
    const it = new Transcript();
    it.ask('a b c');
    assert.is(it.scheduler.underWay('m'), 3);
    assert.equal(
      it.scheduler.removeModel('m').map(({ name }) => name),
      ['b', 'c'],
    );
    assert.is(it.done(0), '');
    assert.ok(it.scheduler.isIdle);
  });
});

suite('the batch scheduler, whatever happens', (test) => {
  test('every request is started or dropped once, and no batch breaks its rules', () => {
    for (let seed = 1; seed <= 30; seed++) {
      let state = seed;
      const random = (below: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return Math.floor((state / 2 ** 32) * below);
      };
      const scheduler = new BatchScheduler<Item>();
      const settled = new Map<string, string>();
      const running = new Map<number, number>([0, 1, 2].map((worker) => [worker, 0]));
      let nowMs = 0;
      const follow = (decisions: readonly Decision<Item>[]): void => {
        for (const decision of decisions) {
          const items = decision.kind === 'start' ? decision.batch.items : [decision.item];
          for (const { name } of items) {
            assert.not(settled.has(name), `seed ${String(seed)}: ${name} twice`);
            settled.set(name, decision.kind);
          }
          if (decision.kind !== 'start') continue;
          const { worker } = decision.batch;
          running.set(worker, (running.get(worker) ?? 0) + 1);
          assert.ok((running.get(worker) ?? 0) <= 2, `seed ${String(seed)}: too deep`);
          assert.ok(items.length <= 4 && new Set(items.map((item) => item.batchKey)).size === 1);
        }
      };
      for (const model of ['m', 'n']) {
        scheduler.setModel(model, { maxBatch: 4, maxDelayMs: model === 'n' ? 3 : 0, maxQueued: 9 });
        for (const worker of running.keys()) follow(scheduler.offer(worker, model, 0));
      }
      for (let step = 0; step < 400; step++) {
        nowMs += random(3);
        const worker = random(3);
        if (random(2) === 0) {
          const deadlineMs = random(3) === 0 ? nowMs + random(30) : Infinity;
          const item = { name: String(step), batchKey: `k${String(random(2))}`, deadlineMs };
          follow(scheduler.request(random(2) === 0 ? 'm' : 'n', item, nowMs));
        } else if ((running.get(worker) ?? 0) > 0) {
          running.set(worker, (running.get(worker) ?? 0) - 1);
          follow(scheduler.done(worker, 1 + random(8), nowMs));
        }
        if (scheduler.wakeAtMs() <= nowMs) follow(scheduler.tick(nowMs));
      }
      for (let left = 0; left < 200; left++)
        for (const [worker, batches] of running) {
          nowMs += 5;
          follow(scheduler.tick(nowMs));
          if (batches === 0) continue;
          running.set(worker, batches - 1);
          follow(scheduler.done(worker, 1, nowMs));
        }
      assert.ok(scheduler.isIdle, `seed ${String(seed)}`);
    }
  });
});
