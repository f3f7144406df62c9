import { placementOf } from '../../../../../services/cnn/training/data/placement.js';
import { assert, suite } from '../../../../suite.js';

suite('where a picture lies', (test) => {
  test('the parent folder is the class, folders above it may name the side', () => {
    const placed = (path: string): string => {
      const placement = placementOf(path);
      return 'problem' in placement ? 'problem' : `${placement.label} ${placement.side}`;
    };
    for (const [path, expected] of [
      ['cat/1.jpg', 'cat open'],
      ['./pets/cat/1.jpg', 'cat open'],
      ['train/cat/1.jpg', 'cat training'],
      ['pets/Validation/dog/1.jpg', 'dog validation'],
      ['val/deep/dog/1.jpg', 'dog validation'],
      // A class may be called so: only folders above it count.
      ['vehicles/train/1.jpg', 'train open'],
      ['test/cat/1.jpg', 'problem'],
      ['1.jpg', 'problem'],
      ['a/../1.jpg', 'problem'],
      ['../cat/1.jpg', 'problem'],
      ['cat\u001b[2J/1.jpg', 'problem'],
      [`${'x/'.repeat(600)}1.jpg`, 'problem'],
    ] as const)
      assert.is(placed(path), expected, path);
  });
});
