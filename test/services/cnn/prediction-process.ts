import { encoded, openCnn, shippedModels } from './fixture.js';
import sharp from 'sharp';

/** A process that classifies one picture and ends: what it leaves behind is looked at from outside. */

await using cnn = await openCnn([shippedModels], {}, 'shapes');
const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: 'white' } });
await cnn.predict(encoded(await picture.png().toBuffer()));
