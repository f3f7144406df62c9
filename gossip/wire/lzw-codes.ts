/**
 * LZW in the variant of GIF and PDF that Go calls "LSB, literal width 8": codes of 9 to 12 bits, the lowest bit first; 256 clears the table, 257 ends. The code width
 * grows when the table is full for it, not one code earlier.
 */
export const CLEAR = 256;
export const END = 257;
export const FIRST_WIDTH = 9;
export const LAST_WIDTH = 12;
export const CODES = 1 << LAST_WIDTH;
/** No code. */
export const NONE = -1;
