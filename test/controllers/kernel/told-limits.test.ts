import { limitsAmong } from '../../../controllers/kernel/controller-service.js';
import { assert, suite } from '../../suite.js';

suite('limits that a node tells', (test) => {
  test('those of the device are the numbers whose names start with max_; 0 is none', () => {
    const settings = { max_image_bytes: 5, max_batch: 0, workers: 2, default_model: 'm' };
    assert.equal(limitsAmong(settings), { max_image_bytes: 5 });
    assert.equal(limitsAmong({ max_share: 0.5, max_name: 'x' }), {});
    assert.equal(limitsAmong(undefined), {});
  });
});
