/** Version of the product, as members publish it. */
export const VERSION = '0.1.0';
