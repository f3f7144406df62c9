const SIDE_PX = 96;
const SHAPES = [
  '<circle cx="48" cy="48" r="30"/>',
  '<rect x="20" y="22" width="54" height="54"/>',
  '<polygon points="48,14 82,78 14,78"/>',
  '<polygon points="48,10 58,38 88,38 64,56 73,86 48,68 23,86 32,56 8,38 38,38"/>',
] as const;

/** A picture that the model `shapes` knows, as a PNG: the same for the same number. */
export async function pictureOf(number: number): Promise<Buffer> {
  // Decoding and drawing take a library that no other command needs at its start.
  const { default: sharp } = await import('sharp');
  const side = String(SIDE_PX);
  const shape = SHAPES[number % SHAPES.length] ?? '';
  return sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}"><rect width="100%" height="100%" fill="#f4f1e8"/><g fill="#1f4e9c">${shape}</g></svg>`,
    ),
  )
    .flatten()
    .png()
    .toBuffer();
}
