export interface Lock {
  release(): Promise<void>;
}
export function machine(): string;
export function processStart(pid: number): string | null;
export function tryLock(file: string): Promise<Lock | null>;
export function withLock<T>(file: string, work: () => Promise<T>, onWait?: () => void): Promise<T>;
