import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { contentBytesOf } from '../../protos/values.js';
import { limitExceeded } from '../../runtime/errors.js';
import type { KernelAccess } from '../kernel/device.js';

/** Whether a part of a value is kept by somebody. */
export function holdsMemory(value: Value): boolean {
  const kind = value.kind;
  if (kind?.$case === 'memory') return true;
  return kind?.$case === 'list' && kind.value.values.some(holdsMemory);
}

/** Throws where a result is too large to be handed to a client. */
export function checkResultSize(kernel: Pick<KernelAccess, 'limits'>, value: Value): void {
  const { max_result_bytes } = kernel.limits;
  const bytes = contentBytesOf(value);
  if (bytes > max_result_bytes)
    throw limitExceeded('max_result_bytes', bytes, max_result_bytes, {
      what: 'the result in bytes (store a larger one instead, such as by storage.write)',
    });
}

/** The result of a run with all its bytes, which nobody keeps once the run has ended. */
export async function collectResult(
  kernel: Pick<KernelAccess, 'limits' | 'memory'>,
  value: Value,
  signal: AbortSignal,
): Promise<Value> {
  checkResultSize(kernel, value);
  return kernel.memory.pull(value, { maxBytes: kernel.limits.max_result_bytes, signal });
}
