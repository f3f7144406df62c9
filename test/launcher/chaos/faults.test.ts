import { Experiment } from '../../../launcher/chaos/experiment.js';
import { Faults } from '../../../launcher/chaos/faults.js';
import { ProcessFaults } from '../../../launcher/chaos/process-faults.js';
import { Observer } from '../../../launcher/chaos/observer.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { StateFolder } from '../state-folder.js';
import { began } from './some-events.js';
import { MemberList, someMember } from './some-members.js';

/** Processes that only write down what is done to them, when they are let. */
class Processes extends ProcessFaults {
  readonly done: string[] = [];
  readonly #may: Promise<void>;

  constructor(may: Promise<void> = Promise.resolve()) {
    super('/nowhere');
    this.#may = may;
  }

  override async pause(name: string, acting?: () => void): Promise<void> {
    await this.#may;
    acting?.();
    this.done.push(`pause ${name}`);
  }

  override async fillDisk(name: string, acting?: () => void): Promise<void> {
    acting?.();
    this.done.push(`fill ${name}`);
    await this.#may;
  }

  override kill(name: string): Promise<void> {
    return Promise.reject(unavailable('NO_PROCESS', `${name} has no process`));
  }

  override heal(name: string): Promise<'pause'[]> {
    this.done.push(`heal ${name}`);
    return Promise.resolve(['pause']);
  }
}

/** Faults of an experiment with one storage node. */
async function withFaults(
  processes: Processes,
  use: (faults: Faults, experiment: Experiment) => Promise<void>,
): Promise<void> {
  await using state = await StateFolder.create();
  await using experiment = await Experiment.begin(state.path, began);
  using observer = new Observer(experiment, {
    coordinator: new MemberList(someMember('storage-1', 5n)),
    probe: { check: () => Promise.resolve('SERVING') },
    calls: { members: () => Promise.resolve([]), retain: () => undefined },
  });
  const links = () => Promise.reject(unavailable('NO_NAMESPACES', 'there are no links'));
  await use(new Faults(experiment, { processes, links, observer }), experiment);
}

const target = { name: 'storage-1', type: 'storage', leader: true } as const;

suite('faults of an experiment', (test) => {
  test('what is just being done when all is healed is healed too, and nothing comes after it', async () => {
    let release = (): void => undefined;
    const processes = new Processes(
      new Promise((resolve) => {
        release = resolve;
      }),
    );
    await withFaults(processes, async (faults) => {
      const begun = faults.begin({ kind: 'pause' }, target);
      const healed = faults.healAll();
      release();
      await Promise.all([begun, healed]);
      assert.equal(processes.done, ['pause storage-1', 'heal storage-1']);
      assert.equal(faults.standing, []);
      await rejects(faults.begin({ kind: 'pause' }, target), FractoryError, {
        reason: 'CANCELLED',
      });
    });
  });

  test('what could not be done is no event, and needs no heal', async () => {
    await withFaults(new Processes(), async (faults, experiment) => {
      await rejects(faults.begin({ kind: 'kill' }, target), FractoryError);
      await rejects(faults.begin({ kind: 'partition' }, target), FractoryError);
      assert.is(experiment.events.length, 1);
      assert.equal(faults.standing, []);
    });
  });

  test('a disk counts as full from the fault to its heal', async () => {
    await withFaults(new Processes(), async (faults, experiment) => {
      assert.is(faults.diskFullSince(0), false);
      const fault = await faults.begin({ kind: 'fill-disk' }, target);
      assert.is(faults.diskFullSince(experiment.now()), true);
      await faults.heal(fault);
      assert.is(faults.diskFullSince(0), true);
      assert.is(faults.diskFullSince(experiment.now() + 1), false);
      assert.equal(
        experiment.events.map(({ event }) => event),
        ['began', 'fault', 'healed'],
      );
    });
  });
});

suite('who watches', (test) => {
  test('a life that is gone from all lists is noticed, a new leader that serves is told', async () => {
    await using state = await StateFolder.create();
    await using experiment = await Experiment.begin(state.path, began);
    const [application, first, second] = [
      someMember('application-1', 1n),
      someMember('storage-1', 5n),
      someMember('storage-2', 6n),
    ];
    const members = new MemberList(application, first, second);
    using observer = new Observer(experiment, {
      coordinator: members,
      probe: { check: () => Promise.resolve('SERVING') },
      calls: { members: () => Promise.resolve(members.members()), retain: () => undefined },
    });
    const noticed = observer.watchLoss(1, first);
    const back = observer.watchReturn(1, first);
    members.become(application, second);
    await noticed;
    members.become(application, second, someMember('storage-1', 7n));
    await back;
    const served = experiment.until(
      () => experiment.events.some(({ event }) => event === 'serves'),
      5000,
    );
    assert.is(await served, true);
    const seen = experiment.events.flatMap((event) => {
      if (event.event === 'noticed') return [`noticed by ${event.by}`];
      if (event.event === 'leads' || event.event === 'serves')
        return [`${event.member} ${event.event}`];
      return event.event === 'back' ? ['back'] : [];
    });
    for (const one of ['noticed by chaos', 'noticed by application-1', 'storage-2 leads', 'back'])
      assert.ok(seen.includes(one), `${one} in ${seen.join(', ')}`);
    assert.ok(seen.includes('storage-2 serves'));
  });
});
