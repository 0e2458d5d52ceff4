import { RunnerError } from '../../runtime/errors.ts';
import { nodeBackend } from '../../runtime/tensorflow.ts';
import { FeatureSet } from '../features/feature-set.ts';
import { PartFile } from '../features/part-file.ts';
import { type ClassSpec, featureKey, type ImageSpec, specHash } from '../features/spec.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { intervalsOf } from '../intervals.ts';
import { tellingPause } from '../numbers/pause.ts';
import { flatFigures } from '../result.ts';
import type { Figured, FigureJob, Files, Fingerprint } from './job.ts';
import { loudly } from './loudly.ts';
import { writeOutcomes } from './outcomes.ts';
import { evaluatorOf } from './registry.ts';

export interface FigureEvents {
  note(text: string): void;
  readonly signal: AbortSignal;
}

/** Runs one evaluator at one view: a pure function of the features. Null when it was stopped. Errors: DataContract. */
export async function runFigure(job: FigureJob, { note, signal }: FigureEvents): Promise<Figured | null> {
  const open: PartFile[] = [];
  try {
    const setOf = async ({ spec, files }: Files<ImageSpec>) =>
      new FeatureSet(await openAll(spec, files, open), spec.model.config);
    const test = await setOf(job.test);
    if (test.examples.length === 0) throw nothingUsable(test);
    const train = job.train && (await setOf(job.train));
    const classes = job.classes && (await classRows(job.classes, open));
    const device = nodeBackend().isUsingGpuDevice ? ('gpu' as const) : ('cpu' as const);
    const pause = tellingPause(() => note(`${job.evaluator} at ${job.view}`), signal);
    const { view, languages, seed, settings } = job;
    const learned = job.learned && (await openLearned(job.learned, open));
    const input = { view, test, train, classes, ...(learned && { learned }), languages, seed, device, pause };
    const { figures, notes, outcomes, shown } = await evaluatorOf(job.evaluator).evaluate(input, settings);
    await writeOutcomes(job.out, outcomes);
    const fingerprint = await fingerprintOf(
      job,
      { test, train },
      device,
      madeOf([...test.parts, ...(train?.parts ?? [])]),
    );
    const { skipped } = test;
    const of = { examples: test.examples.length, ...(skipped && { skipped }) };
    const known = new Set(flatFigures(figures).map(([name]) => name));
    const intervals = Object.fromEntries(Object.entries(intervalsOf(outcomes)).filter(([name]) => known.has(name)));
    const told = { figures, intervals, notes: [...loudly(fingerprint), ...notes], fingerprint };
    return { ...of, ...told, ...(shown && { shown }) };
  } catch (error) {
    if (signal.aborted && error === signal.reason) return null;
    throw error;
  } finally {
    for (const file of open) await file.close();
  }
}

/** Features are adopted whoever made them: several devices and releases may have. */
function madeOf(parts: readonly PartFile[]): Fingerprint {
  const told = (of: 'device' | 'code') =>
    [...new Set(parts.map(({ facts }) => facts.made?.[of] ?? 'not told'))].sort().join(', ');
  return { 'features.device': told('device'), 'features.code': told('code') };
}

const nothingUsable = ({ skipped }: FeatureSet) =>
  new RunnerError(
    'DataContract',
    `data: none of the examples can be used, the first because: ${skipped?.reasons[0]?.reason ?? 'there are none'}`,
  );

async function openAll(spec: ImageSpec | ClassSpec, files: readonly string[], open: PartFile[]): Promise<PartFile[]> {
  const parts: PartFile[] = [];
  for (const [part, file] of files.entries()) {
    const opened = await PartFile.open(file, { spec: specHash(spec), part, key: featureKey(spec, part) });
    open.push(opened);
    parts.push(opened);
  }
  return parts;
}

async function openLearned({ file, key, hash }: NonNullable<FigureJob['learned']>, open: PartFile[]) {
  const opened = await PartFile.open(file, { spec: hash, part: 0, key });
  open.push(opened);
  return opened;
}

async function classRows({ spec, files }: Files<ClassSpec>, open: PartFile[]) {
  const { width } = spec.model.config.vision;
  const rows = new Float32Array(spec.names.length * width);
  let at = 0;
  for (const part of await openAll(spec, files, open)) {
    const own = await part.floats('classes');
    rows.set(own, at);
    at += own.length;
  }
  return { names: spec.names, rows: { width, rows } };
}
