/** What an application process is told; the launcher tells it. Node processes read `config/` instead. */

/** Arguments of this process, without the interpreter and the script. */
export function readArguments(): readonly string[] {
  return process.argv.slice(2);
}

/** How a client shows who it is. Paths are absolute. */
export type ClientCredentials =
  | { readonly mode: 'open' }
  | { readonly mode: 'token'; readonly token: string }
  | {
      readonly mode: 'mtls';
      readonly caPath: string;
      readonly certificatePath: string;
      readonly keyPath: string;
    };

/** Environment variable that carries them as JSON: arguments can be seen by other users of the machine. */
export const CREDENTIALS_VARIABLE = 'FRACTORY_CREDENTIALS';

/** Credentials that the launcher gave to this process; `open` if none. */
export function readCredentials(): ClientCredentials {
  const given = process.env[CREDENTIALS_VARIABLE];
  return given === undefined ? { mode: 'open' } : (JSON.parse(given) as ClientCredentials);
}
