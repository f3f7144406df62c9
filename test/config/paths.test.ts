import { placesFrom } from '../../config/paths.js';
import { assert, suite } from '../suite.js';

suite('places', (test) => {
  test('have the state in .fractory unless FRACTORY_STATE names a folder; an empty one names none', () => {
    const stateOf = (given: NodeJS.ProcessEnv): string => placesFrom(given, '/product').statePath;
    assert.is(stateOf({}), '/product/.fractory');
    assert.is(stateOf({ FRACTORY_STATE: '' }), '/product/.fractory');
    assert.is(stateOf({ FRACTORY_STATE: 'state' }), '/product/state');
    assert.is(stateOf({ FRACTORY_STATE: '/state' }), '/state');
  });
});
