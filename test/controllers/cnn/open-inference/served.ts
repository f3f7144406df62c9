import { openInferenceService } from '../../../../controllers/cnn/open-inference/service.js';
import type { ServedModels } from '../../../../controllers/cnn/open-inference/served-models.js';
import { Security } from '../../../../controllers/kernel/security.js';
import { NodeServer } from '../../../../controllers/kernel/server.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { productRoot } from '../../../services/cnn/fixture.js';

/** The protocol behind the server of a node, on a port of its own. */
export async function serve(
  models: ServedModels,
): Promise<AsyncDisposable & { readonly address: string }> {
  const server = new NodeServer(productRoot);
  server.add(openInferenceService(models), {
    ...{ log: silentLogger(), defaultBudgetMs: 10_000, maxBudgetMs: 10_000 },
    ...{ stopping: new AbortController().signal, check: () => undefined },
    ended: () => undefined,
  });
  const security = new Security({ mode: 'open' }, 'f'.repeat(64), 'cnn-1');
  const port = await server.start('127.0.0.1', 0, security);
  return {
    address: `127.0.0.1:${String(port)}`,
    [Symbol.asyncDispose]: () => server.stop(1000),
  };
}
