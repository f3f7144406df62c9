import { appendFile, readFile } from 'node:fs/promises';

import {
  eventsOf,
  Experiment,
  experimentNames,
  readExperiment,
} from '../../../launcher/chaos/experiment.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite, throws } from '../../suite.js';
import { StateFolder } from '../state-folder.js';
import { began } from './some-events.js';

suite('the file of an experiment', (test) => {
  test('what was recorded is read again, the newest by default', async () => {
    await using state = await StateFolder.create();
    for (const name of ['20260101T000000-kill', '20260102T000000-pause']) {
      await using experiment = await Experiment.begin(state.path, { ...began, experiment: name });
      experiment.record({ event: 'note', text: name });
      experiment.record({ event: 'ended', atMs: 12.345 });
    }
    const [first, note, ended] = await readExperiment(state.path);
    assert.is(first?.event === 'began' && first.experiment, '20260102T000000-pause');
    assert.is(note?.event === 'note' && note.text, '20260102T000000-pause');
    assert.equal(ended, { event: 'ended', atMs: 12.3 });
    assert.is((await readExperiment(state.path, '20260101T000000-kill')).length, 3);
    assert.is((await experimentNames(state.path)).length, 2);
  });

  test('a line that a kill has cut short is left out, a damaged one is told with its number', async () => {
    await using state = await StateFolder.create();
    const experiment = await Experiment.begin(state.path, began);
    await experiment[Symbol.asyncDispose]();
    await appendFile(experiment.file, '{"event":"note","atM');
    assert.is((await readExperiment(state.path)).length, 1);
    const content = await readFile(experiment.file, 'utf8');
    const { message } = throws(() => eventsOf(`${content}\n`, 'x'), FractoryError, {
      reason: 'EXPERIMENT_DAMAGED',
    });
    assert.match(message, /line 2 of x/);
  });

  test('one that is not there is told with a hint', async () => {
    await using state = await StateFolder.create();
    await rejects(readExperiment(state.path), FractoryError, { reason: 'EXPERIMENT_NOT_FOUND' });
    await using experiment = await Experiment.begin(state.path, began);
    const { message } = await rejects(
      readExperiment(state.path, experiment.name.replace('test', 'tset')),
      FractoryError,
    );
    assert.match(message, /did you mean 20260101T000000-test/);
  });

  test('whoever waits for something hears when it is recorded, or that it did not come', async () => {
    await using state = await StateFolder.create();
    await using experiment = await Experiment.begin(state.path, began);
    const waited = experiment.until(() => experiment.events.length > 1, 5000);
    experiment.record({ event: 'note', text: 'now' });
    assert.is(await waited, true);
    assert.is(await experiment.until(() => false, 1), false);
    const stop = new AbortController();
    const interrupted = experiment.until(() => false, 5000, stop.signal);
    stop.abort();
    assert.is(await interrupted, false);
  });
});
