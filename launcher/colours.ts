import picocolors from 'picocolors';

export type Painter = (text: string) => string;

/** Ways to colour text; plain text where colours are off. */
export type Colours = Readonly<
  Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan', Painter>
>;

export function coloursFor(enabled: boolean): Colours {
  return picocolors.createColors(enabled);
}
