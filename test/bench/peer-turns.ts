import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess, type Turn } from './line-process.ts';
import type { MatmulPeak } from './matmul.ts';
import type { BenchRecord, Report } from './record.ts';
import { type ShapeName, stepSettings } from './shapes.ts';
import { compareTurns, spread } from './statistics.ts';
import { type Compiled, recordOf, startOurs } from './step-runs.ts';
import { withFolder } from './temporary-folder.ts';

/** One of those that take turns. */
export interface Side {
  readonly variant: string;
  readonly process: LineProcess;
  readonly turns: Turn[];
}

const peerFile = fileURLToPath(new URL('peer.py', import.meta.url));
/** Where the peer runs. */
export type PeerDevice = 'cpu' | 'cuda';

const layouts = ['merged', 'separate'];
const warmUp = 3;

/** Asks before minutes are spent. SetupMissing when this Python can't run the peer, saying what to type. */
export async function requirePeer(
  python: string,
  device: PeerDevice = 'cpu',
  packages = 'safetensors.torch, torch',
  requirements = 'test/bench/requirements.txt',
): Promise<void> {
  const sees = device === 'cuda' ? '; assert torch.cuda.is_available(), "its torch sees no GPU"' : '';
  try {
    await promisify(execFile)(python, ['-c', `import ${packages}${sees}`]);
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    const said = stderr.trim().split('\n').at(-1) || message;
    const install = `${python} -m pip install -r ${requirements}`;
    throw new RunnerError('SetupMissing', `--peer ${python} can't run the peer (${said}); type ${install}`, { cause });
  }
}

/**
 * Ours, the peer with merged and the peer with separate q, k and v, round and round, all warm and one at a time. All
 * start from the same weights and see the same batch. The faster layout of the peer is what ours is compared with.
 */
export async function benchInTurns(
  name: ShapeName,
  variant: Compiled,
  python: string,
  { runs = 3, turns }: BenchOptions,
  peak: MatmulPeak,
  report: Report,
  device: PeerDevice = 'cpu',
): Promise<void> {
  const sides: Side[] = [];
  const enter = async (label: string, process: Promise<LineProcess>) => {
    sides.push({ variant: label, process: await process, turns: [] });
  };
  await withFolder(async (folder) => {
    try {
      const weights = join(folder, 'start.safetensors');
      await enter(variant, startOurs({ name, variant, warmUp, weights }));
      const { model, optimizer } = stepSettings(name, variant);
      const shape = JSON.stringify({ model, optimizer });
      for (const qkv of layouts) {
        const same = [
          peerFile,
          '--weights',
          weights,
          '--shape',
          shape,
          '--warm-up',
          String(warmUp),
          '--device',
          device,
        ];
        const own = ['--precision', variant, '--qkv', qkv];
        await enter(`peer-${variant}-${qkv}`, LineProcess.start(`the peer (${python})`, python, [...same, ...own]));
      }
      for (let turn = 0; turn < turns; turn++) {
        for (const side of sides) side.turns.push(await side.process.ask(String(runs)));
      }
    } finally {
      for (const { process } of sides) await process.close();
    }
  });
  const records = sides.map((side) => recordOf(name, side.variant, variant, side.turns, side.process, peak));
  const best = records[1]!.ms_median <= records[2]!.ms_median ? 1 : 2;
  report({ ...records[0]!, ...comparison(sides[0]!, records[0]!, sides[best]!, records[best]!) });
  for (const record of records.slice(1)) report(record);
}

/** Ours beside theirs, from turns that were made one after another. */
export function comparison(
  ours: Side,
  record: BenchRecord,
  theirs: Side,
  peerRecord: BenchRecord,
): Partial<BenchRecord> {
  const times = ({ turns }: Side) => turns.map(({ ms }) => ms);
  const { ofMedians, pairs } = compareTurns(times(ours), times(theirs));
  const quotient = (a?: number | null, b?: number | null) => (a && b ? a / b : null);
  const { version, threads, losses } = theirs.process.ready;
  return {
    against: `${theirs.variant} (PyTorch ${version}, ${threads} threads)`,
    ratio: ofMedians,
    ratio_low: pairs.min,
    ratio_high: pairs.max,
    ratio_of_minima: record.ms_min / peerRecord.ms_min,
    cpu_ratio: record.cpu_ms_median! / peerRecord.cpu_ms_median!,
    peak_ratio: quotient(record.peak_bytes, peerRecord.peak_bytes),
    steps_peak_ratio: quotient(record.steps_peak_bytes, peerRecord.steps_peak_bytes),
    loss_difference: spread(ours.process.ready.losses.map((loss, i) => Math.abs(loss / losses[i]! - 1))).max,
  };
}
