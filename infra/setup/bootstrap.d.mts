export function nodeProblem(version: string): string | null;
export function packagesFit(folder: string): boolean;
