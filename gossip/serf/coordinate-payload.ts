import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { double, list, record } from '../wire/record.js';
import type { Coordinate } from './coordinate.js';

/** First byte of what rides on answers to pings. */
const PING_VERSION = 1;
const MAX_DIMENSIONS = 64;

const coordinate = record<Coordinate>({
  ...{ vector: ['Vec', list(double(), MAX_DIMENSIONS)], error: ['Error', double()] },
  ...{ adjustment: ['Adjustment', double()], height: ['Height', double()] },
});

/** A coordinate as it rides on the answer to a ping. */
export function encodeCoordinate(own: Coordinate): Uint8Array {
  const writer = new RawWriter().byte(PING_VERSION);
  coordinate.write(writer, own);
  return writer.finish();
}

/** Undefined where none rides on it: plain members have nothing to say. Throws a WireError. */
export function decodeCoordinate(payload: Uint8Array): Coordinate | undefined {
  return payload[0] === PING_VERSION ? coordinate.read(new RawReader(payload, 1)) : undefined;
}
