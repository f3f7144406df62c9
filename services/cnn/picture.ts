import type { Place } from './admission.js';

/** A picture whose bytes are here: a file, or rows of pixels, top first, three bytes each: red, green, blue. */
export type PictureHere =
  | { readonly kind: 'encoded'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'pixels';
      readonly width: number;
      readonly height: number;
      readonly rgb: Uint8Array;
    };

/** A picture, or where to get its file. */
export type Picture =
  | PictureHere
  | {
      readonly kind: 'stored';
      /** Called once there is a place for the request. `hold` is told the size before the bytes come, and throws where there is no room for them. */
      readonly fetch: (hold: Place['hold']) => Promise<Uint8Array>;
    };

/** What a picture takes while it waits, as far as it is here. */
export function bytesOf(picture: Picture): number {
  switch (picture.kind) {
    case 'encoded':
      return picture.bytes.length;
    case 'pixels':
      return picture.rgb.length;
    case 'stored':
      return 0;
  }
}

export async function fetched(picture: Picture, place: Place): Promise<PictureHere> {
  if (picture.kind !== 'stored') return picture;
  const bytes = await picture.fetch((size) => {
    place.hold(size);
  });
  return { kind: 'encoded', bytes };
}
