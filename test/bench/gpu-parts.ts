import { join } from 'node:path';
import { worthwhile } from '../../activities/measure-both.ts';
import { hashFile } from '../../src/runtime/hash.ts';
import type { GpuContext } from './gpu.ts';
import { kindNames } from './gpu-kinds.ts';
import type { BytesAnswer, MemoryAnswer, PlacementAnswer, Variant } from './gpu-process.ts';
import { benchLargeLosses } from './large-loss.ts';
import { largestDifferences } from './largest-differences.ts';
import { measureMatmulPeak } from './matmul.ts';
import { benchmarks } from './names.ts';
import { benchInTurns } from './peer-turns.ts';
import type { BenchRecord } from './record.ts';
import { benchSelections } from './selection.ts';
import type { ShapeName } from './shapes.ts';
import { benchAlone } from './step.ts';
import { withFolder } from './temporary-folder.ts';

/** What a part found out, as JSON; `error` where it could not. */
export type PartResult = Readonly<Record<string, unknown>>;

/** On a CPU a whole step under XLA compiles for minutes: one of them shows that it runs. */
const variantsOf = ({ dry }: GpuContext): readonly Variant[] =>
  dry ? ['f32', 'bf16-xla'] : ['f32', 'bf16', 'f32-xla', 'bf16-xla'];
const shapesOf = ({ dry }: GpuContext): readonly ShapeName[] =>
  dry ? ['step/tiny'] : ['step/emoji', 'step/vit-w256-d4', 'step/s16', 'step/b16'];

const largeNames = ['contrast/32k', 'contrast/64k', 'patch-head/b16', 'selection/768'] as const;

/** Every part by its name, in the order in which they run: what decides whether the rest makes sense comes first. */
export const gpuParts: Readonly<Record<string, (context: GpuContext) => Promise<PartResult>>> = {
  placement,
  memory,
  bytes,
  steps,
  large,
};

const worst = (ours: readonly number[], theirs: readonly number[]) =>
  Math.max(...ours.map((x, i) => Math.abs(x - theirs[i]!) / Math.max(Math.abs(theirs[i]!), 1e-6)));

/** An answer, or why there is none: one op without a place must not hide what the others do. */
async function orProblem<A>(answer: Promise<A>): Promise<A | { readonly error: string }> {
  return answer.catch((error: Error) => ({ error: error.message }));
}

/** Is every op of every kind of phase on the device, and are losses and gradients those of the CPU. */
async function placement(context: GpuContext): Promise<PartResult> {
  const { ask, say, wanted, dry } = context;
  const found: Record<string, PartResult> = {};
  for (const kind of kindNames)
    for (const variant of variantsOf(context)) {
      const name = `${kind}/${variant}`;
      if (!wanted(`placement/${name}`) || (dry && variant !== 'f32' && kind !== 'sigmoid')) continue;
      const job = { part: 'placement', kind, variant, steps: 5 } as const;
      const here = await orProblem(ask<PlacementAnswer>(job));
      if ('error' in here) {
        found[name] = here;
        say(`  ${name}: ${here.error}`);
        continue;
      }
      const there = await ask<PlacementAnswer>({ ...job, variant: variant.startsWith('bf16') ? 'bf16' : 'f32' }, 'cpu');
      const losses = worst(here.losses, there.losses);
      const gradientNorms = worst(here.gradientNorms, there.gradientNorms);
      found[name] = { placed: true, losses: here.losses, fromCpu: { losses, gradientNorms } };
      say(
        `  ${name}: placed; losses within ${losses.toExponential(0)} of a CPU's, gradients ${gradientNorms.toExponential(0)}`,
      );
    }
  return found;
}

/** Does TensorFlow take memory as it needs it, does it stop growing, and is it what `plan` counts. */
async function memory(context: GpuContext): Promise<PartResult> {
  const found: Record<string, PartResult> = {};
  const megabytes = (bytes: number | null) => (bytes === null ? '?' : `${Math.round(bytes / 1e6)} MB`);
  for (const shape of shapesOf(context))
    for (const variant of variantsOf(context)) {
      if (!context.wanted(`memory/${shape}/${variant}`)) continue;
      const answer = await orProblem(context.ask<MemoryAnswer>({ part: 'memory', shape, variant, steps: 20 }));
      found[`${shape}/${variant}`] = { ...answer };
      if ('error' in answer) context.say(`  ${shape}/${variant}: ${answer.error}`);
      else {
        const { before, loaded, compiled, first, last, planned } = answer;
        const [at, then, now, end] = [before, loaded, compiled, last].map(megabytes);
        context.say(
          `  ${shape}/${variant}: ${at} before, ${then} loaded, ${now} compiled, ${megabytes(first)} after a step, ` +
            `${end} after 20; planned ${megabytes(planned)}`,
        );
      }
    }
  return found;
}

/** Do two attempts at the same steps end in the same bytes, and where they do not, by how much they differ. */
async function bytes(context: GpuContext): Promise<PartResult> {
  const found: Record<string, PartResult> = {};
  for (const shape of shapesOf(context).slice(0, 3))
    for (const variant of variantsOf(context)) {
      if (!context.wanted(`bytes/${shape}/${variant}`)) continue;
      found[`${shape}/${variant}`] = await withFolder(async (folder) => {
        const attempts: { readonly file: string; readonly losses: readonly number[] }[] = [];
        for (let attempt = 1; attempt <= (context.dry ? 2 : 3); attempt++) {
          const file = join(folder, `${attempt}.safetensors`);
          const job = { part: 'bytes', shape, variant, steps: 30, file } as const;
          const answer = await orProblem(context.ask<BytesAnswer>(job));
          if ('error' in answer) return answer;
          attempts.push({ file, losses: answer.losses });
        }
        const [first, ...others] = attempts;
        const sha256 = await Promise.all(attempts.map(async ({ file }) => (await hashFile(file))!.sha256));
        const same = new Set(sha256).size === 1;
        const differences = same
          ? []
          : await largestDifferences(
              first!.file,
              others.map(({ file }) => file),
            );
        const losses = Math.max(...others.map((other) => worst(other.losses, first!.losses)));
        context.say(
          `  ${shape}/${variant}: ${attempts.length} attempts, ${same ? 'the same bytes' : `other bytes in ${differences.length} tensors`}`,
        );
        return { same, sha256, losses, differences: differences.slice(0, 20) };
      });
    }
  return found;
}

/** The time of a step, beside PyTorch's where there is one, and which way of compiling it `"xla": "auto"` would choose. */
async function steps(context: GpuContext): Promise<PartResult> {
  const { options, dry } = context;
  const records: BenchRecord[] = [];
  const report = (record: BenchRecord) => {
    records.push(record);
    context.record(record);
  };
  const peak = await measureMatmulPeak(dry ? 1 : 10, report, dry ? 256 : undefined);
  const choices: Record<string, PartResult> = {};
  const problems: Record<string, string> = {};
  for (const shape of shapesOf(context)) {
    const ms: Partial<Record<Variant, number>> = {};
    for (const variant of variantsOf(context)) {
      if (!context.wanted(`steps/${shape}/${variant}`)) continue;
      const from = records.length;
      const ran =
        options.peer && (variant === 'f32' || variant === 'bf16')
          ? benchInTurns(shape, variant, options.peer, options, peak, report, dry ? 'cpu' : 'cuda')
          : benchAlone(shape, variant, options, peak, report);
      const problem = await orProblem(ran.then(() => ({})));
      if ('error' in problem) {
        problems[`${shape}/${variant}`] = problem.error;
        context.say(`  ${shape}/${variant}: ${problem.error}`);
      } else ms[variant] = records[from]!.ms_median;
    }
    for (const precision of ['f32', 'bf16'] as const) {
      const [off, on] = [ms[precision], ms[`${precision}-xla`]];
      if (off === undefined && on === undefined) continue;
      const xla = on !== undefined && (off === undefined || on < worthwhile * off) ? 'on' : 'off';
      choices[`${shape}/${precision}`] = { xla, ms: { off: off ?? null, on: on ?? null } };
    }
  }
  return { records, choices, problems };
}

/** What grows with the batch or with the prototypes, and selections, at the size of the paper; dry, of few pairs. */
async function large({ options, dry, record, wanted, say }: GpuContext): Promise<PartResult> {
  const records: BenchRecord[] = [];
  const report = (one: BenchRecord) => {
    records.push(one);
    record(one);
  };
  const problems: Record<string, string> = {};
  for (const name of largeNames)
    for (const variant of benchmarks[name]) {
      const only = `${name}/${variant}`;
      if (!wanted(`large/${only}`)) continue;
      const bench = name === 'selection/768' ? benchSelections : benchLargeLosses;
      const problem = await orProblem(bench({ ...options, only }, report, dry).then(() => ({})));
      if (!('error' in problem)) continue;
      problems[only] = problem.error;
      say(`  ${only}: ${problem.error}`);
    }
  return { records, problems };
}
