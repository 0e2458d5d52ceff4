import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { benchmarks, isWanted, stepNames } from './names.ts';
import { ourProcess } from './our-process.ts';
import { spread } from './statistics.ts';
import { withFolder } from './temporary-folder.ts';

/** Begin and end of an op in one step, in microseconds. */
export type Traced = readonly [node: string, op: string, begin: number, end: number];
interface Profile {
  readonly ms: readonly number[];
  readonly traces: readonly (readonly Traced[])[];
}

const script = fileURLToPath(new URL('trace_steps.py', import.meta.url));

/** Where the time of a step goes, by kind of op, as a table for each shape and precision, or task, that is wanted. */
export async function profileSteps({ only, profile, runs = 5 }: BenchOptions, print: (text: string) => void) {
  const steps = stepNames.map((name) => [name, ['f32', 'bf16']] as const);
  for (const [name, variants] of [...steps, ['tune/b16', benchmarks['tune/b16']] as const])
    for (const variant of variants) {
      if (!isWanted(only, name, variant)) continue;
      const { kinds, measured } = await withFolder((folder) => profileOf(profile!, folder, name, variant, runs));
      print(`\n${name} ${variant}, ${spread(measured.ms).median.toFixed(0)} ms a step without the tracer\n`);
      print(tableOf(measured.traces, kinds));
    }
}

async function profileOf(python: string, folder: string, name: string, variant: string, runs: number) {
  const [command, args] = ourProcess('profile-process.ts', folder, name, variant, String(runs));
  const child = await LineProcess.start<{ kinds: Record<string, string> }>(`profile of ${name}`, command, args);
  await child.close();
  const failed = (cause: Error) => {
    const said = (cause as Error & { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? cause.message;
    const needs = `${python} -m pip install -r test/bench/requirements-profile.txt`;
    throw new RunnerError('SetupMissing', `--profile ${python} can't profile (${said}); type ${needs}`, { cause });
  };
  const { stdout } = await promisify(execFile)(python, [script, folder], { maxBuffer: 2 ** 30 }).catch(failed);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  return { kinds: child.ready.kinds, measured: JSON.parse(line!) as Profile };
}

const moves =
  /^(_?(Mkl)?(Transpose|Reshape|Pack|Unpack|ConcatV2|Concat|Slice|SplitV|Tile|Fill|PadV2|DeepCopy|Identity))$/;

/** The kind of a node: what its function computes, where it is one, else by its op. */
export function kindOf(node: string, op: string, kinds: Readonly<Record<string, string>>): string {
  const chain = /^fused_\d+/.exec(node)?.[0];
  if (chain !== undefined && kinds[chain] !== undefined) return kinds[chain]!;
  if (/BatchMatMul/.test(op)) return 'matmuls of attention';
  if (/MatMul/.test(op)) return 'matmuls of layers';
  if (/Softmax/.test(op)) return 'softmax';
  if (/Apply|Assign|ReadVariable/.test(op)) return 'variables';
  if (/Gather|Segment/.test(op)) return 'token table';
  if (/Cast/.test(op)) return 'casts';
  if (moves.test(op)) return 'transposes and copies';
  return 'other single ops';
}

/**
 * Milliseconds of a step by kind, as medians over traces. Where several ops run at once an instant belongs to each in
 * part, so that the kinds and what is between ops add up to the whole.
 */
export function timesByKind(trace: readonly Traced[], kinds: Readonly<Record<string, string>>): Map<string, number> {
  const edges = trace.flatMap(([node, op, begin, end]) => {
    const kind = kindOf(node, op, kinds);
    return [
      { at: begin, kind, by: 1 },
      { at: end, kind, by: -1 },
    ];
  });
  edges.sort((a, b) => a.at - b.at || a.by - b.by);
  const running = new Map<string, number>();
  const times = new Map<string, number>();
  const add = (kind: string, micros: number) => times.set(kind, (times.get(kind) ?? 0) + micros / 1000);
  let count = 0;
  let last = edges[0]?.at ?? 0;
  for (const { at, kind, by } of edges) {
    if (count === 0) add('between ops', at - last);
    else for (const [one, of] of running) add(one, ((at - last) * of) / count);
    running.set(kind, (running.get(kind) ?? 0) + by);
    count += by;
    last = at;
  }
  return times;
}

function tableOf(traces: readonly (readonly Traced[])[], kinds: Readonly<Record<string, string>>): string {
  const each = traces.map((trace) => timesByKind(trace, kinds));
  const names = [...new Set(each.flatMap((times) => [...times.keys()]))];
  const medians = names.map((name) => [name, spread(each.map((times) => times.get(name) ?? 0)).median] as const);
  const total = medians.reduce((sum, [, ms]) => sum + ms, 0);
  const rows = [...medians].sort(([, a], [, b]) => b - a);
  const line = (name: string, ms: number) =>
    `  ${name.padEnd(24)} ${ms.toFixed(1).padStart(8)} ms ${((100 * ms) / total).toFixed(1).padStart(5)} %\n`;
  return rows.map(([name, ms]) => line(name, ms)).join('') + line('traced in all', total);
}
