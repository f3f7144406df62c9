import type { Workload } from './workloads.js';

/** Name of the data centers that are measured. */
export const DATA_CENTER = 'tax';

/** Device types of which only the leader serves. */
const LED: readonly string[] = ['application', 'storage'];

/** The ini file of a data center for one workload; all else is as in every data center. */
export function taxIni(
  workload: Workload,
  paths: { readonly storagePath: string; readonly tokenFile: string | undefined },
): string {
  const types = [...new Set(Object.values(workload.members))];
  const { storagePath, tokenFile } = paths;
  return [
    '[DataCenter]',
    `name = ${DATA_CENTER}`,
    `storage_path = ${storagePath}`,
    ...(tokenFile === undefined ? [] : ['[Security]', 'mode = token', `token_file = ${tokenFile}`]),
    '[Controllers]',
    `controller_names = ${types.map((type) => `${type}_controller`).join(', ')}`,
    ...types.flatMap((type) => [
      `[${type}_controller]`,
      `paths_to_controller = controllers/${type}/main.ts`,
      `routing = ${LED.includes(type) ? 'leader' : 'any'}`,
      ...(type === 'storage' && workload.storage === 'block' ? ['backend = block'] : []),
    ]),
    '',
  ].join('\n');
}
