/** A picture of 16 x 16 pixels, 106 bytes: decoders stop at its end and don't mind what follows. */
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAMAAAAoLQ9TAAAAA1BMVEV3qlW5LbIXAAAACXBIWXMAAAPoAAAD6AG1e1Jr' +
    'AAAADUlEQVQY02NgGAXIAAABEAAB7JfjegAAAABJRU5ErkJggg==',
  'base64',
);

/** Name of the file with a payload. */
export function payloadName(payloadBytes: number): string {
  return `payload-${String(payloadBytes)}.png`;
}

/** A valid picture of just this size: behind its end come bytes that don't compress and are the same each time. */
export function payloadOf(payloadBytes: number): Buffer {
  const payload = Buffer.alloc(payloadBytes);
  PICTURE.copy(payload);
  let state = 1;
  for (let index = PICTURE.length; index < payloadBytes; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    payload[index] = state >>> 24;
  }
  return payload;
}
