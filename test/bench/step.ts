import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchOptions } from './arguments.ts';
import { stepFlops } from './flops.ts';
import { LineProcess, type Turn } from './line-process.ts';
import type { MatmulPeak } from './matmul.ts';
import { benchmarks, isWanted, type StepName, stepNames } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { BenchRecord, Report } from './record.ts';
import { stepSettings } from './shapes.ts';
import { compareTurns, spread } from './statistics.ts';
import type { StepJob } from './step-process.ts';

type Variant = StepJob['variant'];
type Compiled = Exclude<Variant, 'eager'>;

/** Steps of every shape and variant: each alone, or in turns with the peer. */
export async function benchSteps(options: BenchOptions, peak: MatmulPeak, report: Report): Promise<void> {
  for (const name of stepNames) {
    for (const variant of benchmarks[name]) {
      if (!isWanted(options.only, name, variant)) continue;
      if (variant === 'eager' || options.peer === undefined) await alone(name, variant, options, peak, report);
      else await inTurns(name, variant, options.peer, options, peak, report);
    }
  }
}

const startOurs = (job: StepJob) =>
  LineProcess.start(label(job), ...ourProcess('step-process.ts', JSON.stringify(job)));
const label = ({ name, variant }: StepJob) => `${name} ${variant}`;

async function alone(name: StepName, variant: Variant, { runs }: BenchOptions, peak: MatmulPeak, report: Report) {
  const ours = await startOurs({ name, variant, warmUp: variant === 'eager' ? 1 : 3 });
  try {
    const turn = await ours.ask(String(variant === 'eager' ? Math.min(runs ?? 3, 3) : (runs ?? 10)));
    report(recordOf(name, variant, variant === 'bf16' ? 'bf16' : 'f32', [turn], ours, peak));
  } finally {
    await ours.close();
  }
}

const layouts = ['merged', 'separate'] as const;

/** Ours, the peer with merged and the peer with separate q, k and v, round and round, all warm, one at a time. */
async function inTurns(
  name: StepName,
  variant: Compiled,
  python: string,
  { runs = 3, turns }: BenchOptions,
  peak: MatmulPeak,
  report: Report,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-bench-'));
  const running: LineProcess[] = [];
  try {
    const weights = join(folder, 'start.safetensors');
    const warmUp = 3;
    const start = async (process: Promise<LineProcess>) => {
      running.push(await process);
      return running.at(-1)!;
    };
    const ours = await start(startOurs({ name, variant, warmUp, weights }));
    const { model, optimizer } = stepSettings(name, variant);
    const peers: LineProcess[] = [];
    for (const qkv of layouts) {
      const args = [peerFile, '--weights', weights, '--shape', JSON.stringify({ model, optimizer })];
      args.push('--precision', variant, '--qkv', qkv, '--warm-up', String(warmUp));
      peers.push(await start(LineProcess.start(`the peer (${python})`, python, args)));
    }
    const taken: Turn[][] = running.map(() => []);
    for (let turn = 0; turn < turns; turn++) {
      for (const [i, process] of running.entries()) taken[i]!.push(await process.ask(String(runs)));
    }
    const [mine, ...theirs] = taken as [Turn[], ...Turn[][]];
    const medianOf = (all: readonly Turn[]) => spread(all.flatMap(({ ms }) => ms)).median;
    const best = medianOf(theirs[0]!) <= medianOf(theirs[1]!) ? 0 : 1;
    const peerRecords = theirs.map((all, i) =>
      recordOf(name, `peer-${variant}-${layouts[i]}`, variant, all, peers[i]!, peak),
    );
    const record = recordOf(name, variant, variant, mine, ours, peak);
    report({ ...record, ...comparison(record, mine, peerRecords[best]!, theirs[best]!, ours, peers[best]!) });
    for (const peerRecord of peerRecords) report(peerRecord);
  } finally {
    for (const process of running) await process.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const peerFile = fileURLToPath(new URL('peer.py', import.meta.url));

function comparison(
  record: BenchRecord,
  mine: readonly Turn[],
  peerRecord: BenchRecord,
  theirs: readonly Turn[],
  ours: LineProcess,
  peer: LineProcess,
): Partial<BenchRecord> {
  const { ofMedians, pairs } = compareTurns(
    mine.map(({ ms }) => ms),
    theirs.map(({ ms }) => ms),
  );
  const quotient = (a?: number | null, b?: number | null) => (a && b ? a / b : null);
  const differences = ours.ready.losses.map((loss, i) => Math.abs(loss / peer.ready.losses[i]! - 1));
  return {
    against: `${peerRecord.variant} (PyTorch ${peer.ready.version}, ${peer.ready.threads} threads)`,
    ratio: ofMedians,
    ratio_low: pairs.min,
    ratio_high: pairs.max,
    cpu_ratio: record.cpu_ms_median! / peerRecord.cpu_ms_median!,
    peak_ratio: quotient(record.peak_bytes, peerRecord.peak_bytes),
    steps_peak_ratio: quotient(record.steps_peak_bytes, peerRecord.steps_peak_bytes),
    loss_difference: Math.max(...differences),
  };
}

function recordOf(
  name: StepName,
  variant: string,
  precision: Compiled,
  turns: readonly Turn[],
  { ready }: LineProcess,
  peak: MatmulPeak,
): BenchRecord {
  const { model, batches } = stepSettings(name, precision);
  const flops = stepFlops(model, batches.batch);
  const ms = turns.flatMap((turn) => turn.ms);
  const { min, median } = spread(ms);
  const last = turns.at(-1)!;
  return {
    name,
    variant,
    ms_min: min,
    ms_median: median,
    runs: ms.length,
    cpu_ms_median: spread(turns.flatMap((turn) => turn.cpuMs)).median,
    warm_up_ms: ready.warmUpMs,
    gflop: flops / 1e9,
    gflops: flops / 1e6 / median,
    peak_share: flops / (median / 1000) / peak.flops[precision],
    peak_bytes: last.peak,
    steps_peak_bytes: last.stepsPeak,
    base_bytes: ready.base,
  };
}
