import { readArguments } from '../../../runtime/arguments.js';
import { drawShapes } from './shapes.js';

/** `node dist/services/cnn/training/draw-shapes.js FOLDER [PICTURES A SHAPE] [SEED]`: the training data of the model `shapes`. */
const [folder, perShape = '2000', seed = '1'] = readArguments();
if (folder === undefined || !/^\d+$/.test(perShape) || !/^\d+$/.test(seed)) {
  process.stderr.write(
    'usage: draw-shapes FOLDER [PICTURES A SHAPE, default 2000] [SEED, default 1]\n',
  );
  process.exit(2);
}
await drawShapes(folder, { perShape: Number(perShape), seed: Number(seed) });
process.stderr.write(`${perShape} pictures of each shape are in ${folder}\n`);
