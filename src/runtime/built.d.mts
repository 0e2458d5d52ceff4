export interface Start {
  readonly flags: readonly string[];
  readonly file: string;
}
/** The compiled form of the script with this address (`file:`), as an address, or null where there is none. */
export function builtOf(address: string): string | null;
/** What Node is given to run the script at this path: flags for Node, and the file. */
export function startOf(path: string): Start;
/** The same for a script that may itself import others that no build has. */
export function sourceOf(path: string): Start;
