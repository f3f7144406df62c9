/** What is copied. */
export const COPY_BYTES = 64 * 1024 * 1024;
/** As large as the chunks of the bulk data path. */
export const COPY_CHUNK_BYTES = 512 * 1024;

/** What a rival is told to fetch, and from where. */
export interface CopyOrder {
  readonly kind: 'grpc' | 'tcp';
  readonly port: number;
}
