import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** So many are named, of runs that have more. */
const shown = 40;

/** The files that took longest with their seconds, of the clock, hooks and imports too. */
export function slowestFiles(files: readonly { readonly file: string; readonly seconds: number }[]): string[] {
  if (files.length <= shown) return [];
  const longest = [...files].sort((a, b) => b.seconds - a.seconds).slice(0, shown);
  return longest.map(({ file, seconds }) => `${seconds.toFixed(0).padStart(5)} s  ${file}`);
}

/** Says at the end of a whole run what took longest: where to look first for one that is faster. */
export default class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const files = modules.map((module) => {
      const { prepareDuration, collectDuration, setupDuration, duration } = module.diagnostic();
      const seconds = (prepareDuration + collectDuration + setupDuration + duration) / 1000;
      return { file: relative('.', module.moduleId), seconds };
    });
    const all = files.reduce((sum, { seconds }) => sum + seconds, 0);
    const lines = slowestFiles(files);
    if (lines.length === 0) return;
    process.stdout.write(
      `\nof ${all.toFixed(0)} s in ${files.length} files, those that took longest:\n${lines.join('\n')}\n`,
    );
  }
}
