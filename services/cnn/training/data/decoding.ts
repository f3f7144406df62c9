import { decodePicture } from '../../pictures/picture.js';
import { DEFAULT_CNN_LIMITS } from '../../limits.js';
import type { TrainingLimits } from '../limits.js';
import { NORMALISATION } from '../normalisation.js';

/** A picture's middle square, scaled, as a model's card with `cover` has it. Throws as `decodePicture` does. */
export async function decodeSquare(
  bytes: Uint8Array,
  sidePx: number,
  limits: TrainingLimits,
): Promise<Uint8Array> {
  const { data } = await decodePicture(
    bytes,
    {
      ...{ name: 'input', layout: 'NCHW', channels: 3, colorOrder: 'RGB', resize: 'cover' },
      ...{ width: sidePx, height: sidePx, scale: 255 },
      mean: [...NORMALISATION.mean],
      std: [...NORMALISATION.std],
    },
    { ...DEFAULT_CNN_LIMITS, ...limits },
  );
  return data;
}
