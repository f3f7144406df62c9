/** A file of training data as it comes along. */
export interface SourceFile {
  /** With slashes: the last folder is the class. */
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256 of the content, hex, where it is known without reading. */
  readonly sha256?: string;
  /** Why it can't be used, such as `is a symbolic link`. */
  readonly problem?: string;
  /** The content. Has to be called, not awaited, before the next file is asked for. */
  read(): Promise<Uint8Array>;
}

/** Where training data come from. Can be gone through any number of times: same files, same order, same content. */
export interface PictureSource {
  /** How many files there are, where that is known. */
  readonly count?: number;
  files(signal: AbortSignal): AsyncIterable<SourceFile>;
}
