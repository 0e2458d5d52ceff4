export function nodeProblem(version: string): string | null;
export function packagesFit(folder: string): boolean;

export function linkProblem(folder: string): string | null;

export function handOver(args: readonly string[], env?: NodeJS.ProcessEnv): void;
