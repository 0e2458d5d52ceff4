import { paths } from '../../src/runtime/paths.ts';
import { provideProgram } from './go-program.ts';
import { createProgress, type Progress } from './progress.ts';
import { provideTensorflow } from './tensorflow.ts';

export const partNames = ['tensorflow', 'versitygw', 'temporal'] as const;
export type PartName = (typeof partNames)[number];

/** Provides parts that npm does not bring, the quick ones first. What is there already costs nothing. */
export async function prepare(
  parts: readonly PartName[] = partNames,
  progress: Progress = createProgress(),
  cache: string = paths().cache,
): Promise<Partial<Record<PartName, string>>> {
  const provided: Partial<Record<PartName, string>> = {};
  for (const part of partNames.filter((name) => parts.includes(name)))
    provided[part] =
      part === 'tensorflow'
        ? (await provideTensorflow(progress, cache)).folder
        : (await provideProgram(part, progress, cache)).path;
  return provided;
}
