import { randomFillSync } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeApplied } from '../../src/rounds/apply.ts';
import { mergeDeltas } from '../../src/rounds/merge.ts';
import { numbersIn, numbersOf, type RoundParameter } from '../../src/rounds/parameters.ts';
import { DeltaFile } from '../../src/rounds/read-delta.ts';
import { RoundState, writeTensors } from '../../src/rounds/state.ts';
import { writeDelta } from '../../src/rounds/write-delta.ts';
import { hashFile } from '../../src/runtime/hash.ts';
import { Opened } from '../../src/runtime/opened.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/safetensors/safetensors.ts';
import { startServer } from '../storage/versitygw.ts';
import type { BenchOptions } from './arguments.ts';
import { anyWanted, benchmarks, isWanted } from './names.ts';
import type { Report } from './record.ts';
import { spread } from './statistics.ts';
import { withFolder } from './temporary-folder.ts';

const name = 'rounds/work';
type Work = (typeof benchmarks)[typeof name][number];

/** 4.2 million numbers, and moments of them: 50 MB, so that of many runs some are disturbed little. */
const parameters: readonly RoundParameter[] = Array.from({ length: 2 }, (_, i) => ({
  name: `block.${i}.weight`,
  shape: [2048, 1024],
  byRow: false,
}));
const numbers = numbersIn(parameters);
const ofState: ReadonlySet<Work> = new Set(['copy', 'verify', 'load', 'save', 'commit']);
const head = { exchange: 'int8', seed: 1, round: 0, examples: 100 } as const;
const outer = { rate: 0.7, momentum: 0.9 };

/**
 * What a round computes beside its steps, in int8 with buffers of the outer step: the least CPU time, which plans count with
 * (src/rounds/measured.ts) and other work disturbs least. Of changes a number of the parameters, of the state a byte.
 */
export async function benchRoundsWork({ only, runs = 40 }: BenchOptions, report: Report): Promise<void> {
  if (!anyWanted(only, name)) return;
  await withFolder(async (folder) => {
    const server = await startServer();
    const opened = new Opened();
    try {
      const store = server.store();
      const at = (file: string) => join(folder, file);
      const [began, ended] = [await stateAt(folder, 'began', true), await stateAt(folder, 'ended', false)];
      const file = await opened.of(SafetensorsFile.open(began.path));
      const [before, after] = [numbersOf(file), numbersOf(await opened.of(SafetensorsFile.open(ended.path)))];
      const write = (path: string, from: number) => writeDelta(path, { ...head, from }, parameters, { before, after });
      const members: DeltaFile[] = [];
      for (const slot of [0, 1, 2]) {
        await write(at(`slot-${slot}`), slot);
        members.push(await opened.of(DeltaFile.open(at(`slot-${slot}`), parameters)));
      }
      const merge = (made: string, of: readonly DeltaFile[], momentum: SafetensorsFile | null) => {
        const paths = { delta: at(`${made}-delta`), momentum: at(`${made}-outer`) };
        return mergeDeltas(paths, {
          parameters,
          before,
          members: of,
          outer,
          momentum: momentum && numbersOf(momentum),
        });
      };
      await merge('first', members, null);
      const buffers = await opened.of(SafetensorsFile.open(at('first-outer')));
      const delta = await opened.of(DeltaFile.open(at('first-delta'), parameters));
      const state = await opened.of(RoundState.open(folder, ['began']));
      const layout = [...state.tensors.values()];
      await mkdir(at('copied'));
      const tensors = await Promise.all(
        layout.map(async (tensor) => ({ ...tensor, data: await file.read(tensor.name) })),
      );
      const alone = () => merge('alone', members.slice(0, 1), buffers);
      const of: Record<Work, () => Promise<unknown>> = {
        write: () => write(at('slot'), 0),
        apply: () => writeApplied(at('applied'), parameters, before, delta),
        merge: alone,
        'merge-3': () => merge('three', members, buffers),
        copy: () => writeTensors(at('copied'), layout, (tensor) => () => state.chunks(tensor.name)),
        verify: () => hashFile(began.path),
        async load() {
          for (const tensor of layout) await file.read(tensor.name);
        },
        save: () => writeSafetensors(at('saved'), tensors, { sync: false }),
        commit: () => store.putFile('state', began.path, { sha256: began.sha256 }),
      };
      for (const variant of benchmarks[name]) {
        if (!isWanted(only, name, variant)) continue;
        const { ms, cpu } = await timed(of[variant], runs);
        const [many, unit] = ofState.has(variant) ? ([began.bytes, 'byte'] as const) : ([numbers, 'number'] as const);
        const times = { ms_min: ms.min, ms_median: ms.median, runs, cpu_ms_median: cpu.median };
        report({ name, variant, ...times, nanoseconds: { cpu: (1e6 * cpu.min) / many, unit } });
      }
    } finally {
      await opened.close();
      await server.stop();
    }
  });
}

/** A state in one file, of numbers below 2 in size. */
async function stateAt(folder: string, file: string, moments: boolean) {
  const path = join(folder, file);
  const of = (tensor: string, shape: readonly number[]) => ({
    ...{ name: tensor, dtype: 'F32' as const, shape },
    data: () => [anyNumbers(shape.reduce((a, b) => a * b, 1))],
  });
  const tensors = parameters.flatMap(({ name: parameter, shape }) => [
    of(parameter, shape),
    ...(moments ? [of(`m/${parameter}`, shape), of(`v/${parameter}`, shape)] : []),
  ]);
  return { path, ...(await writeSafetensors(path, tensors, { sync: false })) };
}

function anyNumbers(count: number): Uint8Array {
  const bits = randomFillSync(new Uint32Array(count));
  // An exponent of 64 to 127: below 2.
  for (let i = 0; i < count; i++) bits[i] = (bits[i]! & 0x9fffffff) | 0x20000000;
  return new Uint8Array(bits.buffer);
}

async function timed(work: () => Promise<unknown>, runs: number) {
  const [ms, cpu]: [number[], number[]] = [[], []];
  await work();
  for (let i = 0; i < runs; i++) {
    const [began, used] = [performance.now(), process.cpuUsage()];
    await work();
    const { user, system } = process.cpuUsage(used);
    ms.push(performance.now() - began);
    cpu.push((user + system) / 1000);
  }
  return { ms: spread(ms), cpu: spread(cpu) };
}
