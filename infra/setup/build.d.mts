/** Scripts that are started by their own name. */
export const scripts: readonly string[];
/** Everything that a build of this clone follows from, as a hash. */
export function nameOfBuild(clone?: string): string;
/** The folder of the build for this code, made if it is not there; null where none can be made. */
export function buildFolder(): Promise<string | null>;
