import type { ControllerConfig, MemberNeed } from '../../config/data-center-config.js';
import { unmetNeeds } from '../../launcher/unmet-needs.js';
import { assert, suite } from '../suite.js';

const NEED: MemberNeed = { type: 'block', member: 'block-1', setting: 'backend = block' };

function controller(
  type: string,
  listed: boolean,
  needs: readonly MemberNeed[] = [],
): ControllerConfig {
  const main = `controllers/${type}/main.js`;
  const nodes = [{ name: `${type}-1`, main, port: 0 }];
  return {
    ...{ section: `${type}_controller`, type, listed, nodes, main, routing: 'any', needs },
    ...{ verbose: false, zookeeper: true, settings: {} },
  };
}

suite('needs of controllers', (test) => {
  const block = controller('block', false);

  test('a member that is not there is named, with the two ways to have it', () => {
    const controllers = [controller('storage', true, [NEED]), block];
    assert.equal(unmetNeeds({ controllers }, [{ id: 'storage-1' }]), [
      '[storage_controller] backend = block needs the member block-1, which is not registered: ' +
        './datacenter node block --name block-1 starts it, or add block_controller to controller_names',
    ]);
  });

  test('a member that somebody else started is there', () => {
    const controllers = [controller('storage', true, [NEED]), block];
    assert.equal(unmetNeeds({ controllers }, [{ id: 'block-1' }]), []);
  });

  test('a controller that is not started needs nobody', () => {
    const controllers = [controller('storage', false, [NEED]), block];
    assert.equal(unmetNeeds({ controllers }, []), []);
  });
});
