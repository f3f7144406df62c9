/**
 * Tells ONNX Runtime to measure its users for nobody: otherwise its Linux builds queue events for Microsoft in the user's home and leave a log in the
 * temporary folder. It reads the process's real environment when the library loads, so this comes before the first worker thread, on the main one.
 */
export function disableTelemetry(): void {
  // eslint-disable-next-line no-restricted-properties -- it is told to a library, not read
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
}
