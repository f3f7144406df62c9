/** What a file is when nothing is known of it. */
export const UNKNOWN_MEDIA_TYPE = 'application/octet-stream';

const BY_EXTENSION: Readonly<Record<string, string>> = {
  bmp: 'image/bmp',
  css: 'text/css',
  csv: 'text/csv',
  gif: 'image/gif',
  gz: 'application/gzip',
  html: 'text/html',
  ini: 'text/plain',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  json: 'application/json',
  log: 'text/plain',
  md: 'text/markdown',
  mp4: 'video/mp4',
  npy: 'application/x-npy',
  onnx: 'application/onnx',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  txt: 'text/plain',
  wav: 'audio/wav',
  webp: 'image/webp',
  xml: 'application/xml',
  zip: 'application/zip',
};

/** First bytes, as latin-1 text, and what they tell. */
const BY_CONTENT: readonly (readonly [RegExp | string, string])[] = [
  [/^\x89PNG\r\n/, 'image/png'],
  [/^\xff\xd8\xff/, 'image/jpeg'],
  [/^GIF8[79]a/, 'image/gif'],
  [/^RIFF....WEBP/s, 'image/webp'],
  [/^BM.{4}\0\0\0\0/s, 'image/bmp'],
  [/^(II\*\0|MM\0\*)/, 'image/tiff'],
  [/^%PDF-/, 'application/pdf'],
  ['PK\x03\x04', 'application/zip'],
  ['\x1f\x8b', 'application/gzip'],
  [/^\x93NUMPY/, 'application/x-npy'],
];

/** How many first bytes `mediaTypeOf` looks at. */
export const SNIFFED_BYTES = 512;

/** Media type by the extension of the name, or undefined. */
export function mediaTypeOfName(name: string): string | undefined {
  const extension = /\.([A-Za-z0-9]+)$/.exec(name)?.[1]?.toLowerCase();
  return extension !== undefined && Object.hasOwn(BY_EXTENSION, extension)
    ? BY_EXTENSION[extension]
    : undefined;
}

/** Media type by name, else by the first bytes. */
export function mediaTypeOf(name: string, head: Uint8Array): string {
  return mediaTypeOfName(name) ?? sniff(head);
}

function sniff(head: Uint8Array): string {
  const bytes = Buffer.from(head.subarray(0, SNIFFED_BYTES));
  const text = bytes.toString('latin1');
  const known = BY_CONTENT.find(([start]) =>
    typeof start === 'string' ? text.startsWith(start) : start.test(text),
  );
  if (known) return known[1];
  return bytes.length > 0 && isText(bytes) ? 'text/plain' : UNKNOWN_MEDIA_TYPE;
}

function isText(start: Buffer): boolean {
  // A character may be cut at the end of what we look at: `stream` allows that.
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true });
    // eslint-disable-next-line no-control-regex -- control characters are what tells binary data
    return !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text);
  } catch {
    return false;
  }
}
