import { writeFile } from 'node:fs/promises';

import { BadFlag, HELP, readFlags } from './flags.js';
import type { Asked } from './flags.js';
import { measured } from './measured.js';
import { picture } from './picture.js';
import { asText } from './report.js';
import { writeResults } from './results.js';

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  try {
    const asked = readFlags(argv);
    if (asked === 'help') console.log(HELP);
    else if (asked === 'results') await writeResults();
    else await simulate(asked);
    return 0;
  } catch (error) {
    if (!(error instanceof BadFlag)) throw error;
    console.error(`${error.message} (--help shows what there is)`);
    return 2;
  }
}

async function simulate({ experiment, words, svg, json }: Asked): Promise<void> {
  const { outcome, cost } = measured(experiment);
  if (svg !== undefined) await draw(svg, picture(words, experiment, outcome));
  console.log(
    json ? JSON.stringify({ experiment, outcome, cost }) : asText(words, experiment, outcome, cost),
  );
}

async function draw(file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content);
  } catch (error) {
    throw new BadFlag(`--svg ${file} can't be written: ${(error as Error).message}`);
  }
}
