import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkpointSidecars } from '../../src/checkpoint/hugging-face/config.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors.ts';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess, type Turn } from './line-process.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import { comparison, requirePeer, type Side } from './peer-turns.ts';
import type { BenchRecord, Report } from './record.ts';
import { spread } from './statistics.ts';
import { withFolder } from './temporary-folder.ts';
import { peerPrecisions, tunedModel, tunePartsOf, tuneSettings } from './tune-settings.ts';

const name = 'tune/b16';
const warmUp = 2;
const peerFile = fileURLToPath(new URL('tune_peer.py', import.meta.url));

/** Asks before minutes are spent. SetupMissing when this Python can't run the peer. */
export const requireTunePeer = (python: string) =>
  requirePeer(python, 'cpu', 'torch, transformers, peft, safetensors', 'test/parity/requirements-tuning.txt');

/**
 * Steps as the tasks of `recipe new` make them, from the file that `import` leaves of random weights of B/16: alone, or in turns
 * with PyTorch, transformers and peft from the same weights on the same batch. Ours in bf16 has a line beside each precision of the
 * peer.
 */
export async function benchTunes(options: BenchOptions, report: Report): Promise<void> {
  const wanted = benchmarks[name].filter((variant) => isWanted(options.only, name, variant));
  if (wanted.length === 0) return;
  await withFolder(async (folder) => {
    await writeModel(folder);
    for (const variant of wanted) {
      const { precision } = tunePartsOf(variant);
      // One peer after another: three models of this size at once are more than some machines hold.
      for (const beside of options.peer ? peerPrecisions(precision) : [precision])
        await benchTune(variant, beside, folder, options, report);
    }
  });
}

/** @param beside what the peer computes in, if there is one */
async function benchTune(
  variant: (typeof benchmarks)[typeof name][number],
  beside: 'f32' | 'bf16',
  folder: string,
  { runs = 2, turns, peer }: BenchOptions,
  report: Report,
): Promise<void> {
  const { task } = tunePartsOf(variant);
  const sides: Side[] = [];
  const enter = async (label: string, process: Promise<LineProcess>) => {
    sides.push({ variant: label, process: await process, turns: [] });
  };
  try {
    const own = ourProcess('tune-process.ts', variant, folder, String(warmUp));
    await enter(variant, LineProcess.start(variant, ...own));
    const args = [peerFile, '--folder', folder, '--task', task, '--precision', beside, '--warm-up', String(warmUp)];
    if (peer) await enter(`peer-${task}-${beside}`, LineProcess.start(`the peer (${peer})`, peer, args));
    for (let turn = 0; turn < (peer ? turns : 1); turn++)
      for (const side of sides) side.turns.push(await side.process.ask(String(runs)));
  } finally {
    for (const { process } of sides) await process.close();
  }
  const [ours, theirs] = sides.map(recordOf);
  const planned = memoryPlan(tuneSettings(variant));
  const said = { planned_bytes: planned.processBytes };
  report({ ...ours!, ...said, ...(theirs && comparison(sides[0]!, ours!, sides[1]!, theirs)) });
  if (theirs) report(theirs);
}

function recordOf({ variant, turns, process }: Side): BenchRecord {
  const all = (of: (turn: Turn) => readonly number[]) => turns.flatMap(of);
  const { min, median } = spread(all(({ ms }) => ms));
  const last = turns.at(-1)!;
  return {
    name,
    variant,
    ms_min: min,
    ms_median: median,
    runs: all(({ ms }) => ms).length,
    cpu_ms_median: spread(all(({ cpuMs }) => cpuMs)).median,
    warm_up_ms: process.ready.warmUpMs,
    peak_bytes: last.peak,
    steps_peak_bytes: last.stepsPeak,
    base_bytes: process.ready.base,
  };
}

/** Random weights of the shape of the release, in the one file that an import is, and what transformers reads beside it. */
async function writeModel(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { path, content } of checkpointSidecars(tunedModel)) await writeFile(join(folder, path), content);
  const tensors = parameterSpecs(tunedModel).map((spec) => ({
    name: spec.name,
    dtype: 'F32' as const,
    shape: spec.shape,
    data: () => [new Uint8Array(initialise(1, spec).buffer)],
  }));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { sync: false });
}
