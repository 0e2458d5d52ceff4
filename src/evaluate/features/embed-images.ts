import { setImmediate as yieldToEvents } from 'node:timers/promises';
import pMap from 'p-map';
import { CorruptExample } from '../../data/example/corrupt-example.ts';
import { decodeInTurn } from '../../data/example/decode-in-turn.ts';
import { readSelected, type SelectedExample } from '../../data/example/read-selected.ts';
import { parseTruth } from '../../data/example/truth.ts';
import type { ShardStore } from '../../data/index/part-reader.ts';
import { SkippedMembers } from '../../data/index/skipped-members.ts';
import type { DataIndex } from '../../data/index/types.ts';
import type { FeatureModel } from '../../model/features.ts';
import { readHead } from '../../model/head-scalars.ts';
import { outOf } from '../../runtime/count-text.ts';
import { sha256 } from '../../runtime/hash.ts';
import type { Saying } from '../decoder/saying.ts';
import { ImageCaptions } from '../image-captions.ts';
import { joinedRows, unitRows } from '../numbers/matrix.ts';
import { type Pause, tellingPause } from '../numbers/pause.ts';
import { sampled } from '../tasks/sample.ts';
import { embedNamed, requireFinite } from './embed-named.ts';
import type { EmbeddedPart, EmbedEvents, EmbedJob } from './job.ts';
import { madeBy } from './made-by.ts';
import { type PartExample, type PartTensors, writePart } from './part-file.ts';
import { faultsOf, PixelTensors, pixelsOf } from './pixel-tensors.ts';
import { type ImageSpec, specHash } from './spec.ts';
import { type Shown, shownAt, viewName } from './view.ts';

/** Pictures that are held at once: a batch of the model. */
const chunk = 64;
const decodedAtOnce = 4;

/** What one pass over the pictures of a part gathers. */
interface Gathered {
  readonly examples: PartExample[];
  /** Of each picture's file, two of 32 bits: equal files are told by it. */
  readonly hashes: number[];
  /** By view. */
  readonly pooled: Float32Array[][];
  readonly patches: Float32Array[][];
  readonly aligned: Float32Array[][];
  /** By view: rows and columns of patches of each picture, where they differ. */
  readonly grids: number[][];
  readonly pixels: PixelTensors;
  readonly captions: ImageCaptions | null;
  readonly skipped: SkippedMembers;
}

/**
 * The features of a part of the pictures, at every size, and of their captions: each picture is read and decoded once. Null
 * when it was stopped.
 */
export async function embedImages(
  job: EmbedJob,
  spec: ImageSpec,
  models: { readonly model: FeatureModel; readonly saying: Saying | null },
  { store, index }: { readonly store: ShardStore; readonly index: DataIndex },
  events: EmbedEvents,
): Promise<EmbeddedPart | null> {
  const { note, signal } = events;
  const size = spec.perPart;
  const [from, to] = [job.part * size, Math.min(spec.sample.examples, (job.part + 1) * size)];
  const shown = spec.views.map((view) => shownAt(job.model, view, spec.resize));
  const gathered: Gathered = {
    examples: [],
    hashes: [],
    pooled: spec.views.map(() => []),
    patches: spec.views.map(() => []),
    aligned: spec.views.map(() => []),
    grids: spec.views.map(() => []),
    pixels: new PixelTensors(spec.pixels ?? []),
    captions: spec.captions && new ImageCaptions(spec.captions.languages, spec.captions.most),
    skipped: new SkippedMembers(),
  };
  const waiting: SelectedExample[] = [];
  const pause = tellingPause(
    () => note(`texts of ${outOf(gathered.examples.length, to - from, 'picture')} of part ${job.part}`),
    signal,
  );
  const flush = async () => {
    await take(waiting.splice(0), shown, models, gathered, { spec, model: job.model, pause });
    note(`${outOf(gathered.examples.length, to - from, 'picture')} of part ${job.part}`);
    // The device blocks the event loop; here messages get their turn.
    await yieldToEvents();
  };
  const numbers = Array.from({ length: to - from }, (_, i) => sampled(spec.sample, from + i));
  for await (const one of readSelected(store, index, numbers, (corrupt) => gathered.skipped.add([corrupt]))) {
    waiting.push(one);
    if (waiting.length === chunk) await flush();
    if (signal.aborted) return null;
  }
  await flush();
  if (signal.aborted) return null;
  const tensors = {
    ...imageTensors(job, spec, gathered),
    ...(await captionTensors(job, spec, gathered, models.model, events)),
  };
  const { examples, skipped } = gathered;
  const written = await writePart(
    job.out,
    {
      ...{ spec: specHash(spec), part: job.part, examples, skipped: skipped.list },
      ...(spec.head && { head: await readHead(job.folder) }),
      made: madeBy(job),
    },
    tensors,
  );
  return { ...written, examples: examples.length, skipped: skipped.size };
}

async function take(
  some: readonly SelectedExample[],
  shown: readonly Shown[],
  { model, saying }: { readonly model: FeatureModel; readonly saying: Saying | null },
  { examples, hashes, pooled, patches, aligned, grids, pixels, captions, skipped }: Gathered,
  { spec, model: config, pause }: { spec: ImageSpec; model: EmbedJob['model']; pause: Pause },
): Promise<void> {
  const first = examples.length;
  const prepared = await pMap(
    some,
    async ({ picture, shard, name, said, ...selected }) => {
      try {
        const truth = spec.truth ? parseTruth(said) : null;
        const image = await decodeInTurn(picture);
        const told = truth && { truth, size: [image.width, image.height] as const };
        const ofPixels = await pixelsOf(selected, spec.pixels ?? [], image);
        return { views: shown.map((one) => one.prepare(image)), told, ofPixels };
      } catch (error) {
        if (!(error instanceof CorruptExample)) throw error;
        skipped.add([{ shard, name, reason: error.message }]);
        return null;
      }
    },
    { concurrency: decodedAtOnce },
  );
  const inputs = prepared.filter((one) => one !== null);
  for (const [i, { shard, name, meta, picture }] of some.entries()) {
    const one = prepared[i];
    if (!one) continue;
    captions?.add(examples.length, meta);
    examples.push({
      ...{ shard, name, concepts: meta.concepts ?? [meta.concept], ...one.told, ...faultsOf(one.ofPixels) },
      ...(spec.texts && { texts: textsIn(meta.captions, spec.texts) }),
    });
    pixels.add(one.ofPixels);
    const hash = Buffer.from(sha256(picture), 'hex');
    hashes.push(hash.readInt32LE(0), hash.readInt32LE(4));
  }
  if (inputs.length === 0) return;
  for (const [v, one] of shown.entries()) {
    const found = one.features(
      model,
      inputs.map(({ views }) => views[v]),
    );
    pooled[v]!.push(found.pooled);
    if (found.patches && spec.patches) patches[v]!.push(found.patches);
    if (found.aligned) aligned[v]!.push(found.aligned);
    if (spec.grid) for (const { views } of inputs) grids[v]!.push(...one.grid!(views[v]));
    if (!saying) continue;
    const pictures = examples.slice(first).map(({ truth = {}, size }) => ({ truth, size: size! }));
    const all = await saying.say(spec.views[v]!, found.patches!, pictures, pause);
    for (const [i, said] of all.entries()) {
      const one = examples[first + i]!;
      examples[first + i] = { ...one, said: { ...one.said, [viewName(config, spec.views[v]!)]: said } };
    }
  }
}

const textsIn = (
  captions: SelectedExample['meta']['captions'],
  { languages, most }: NonNullable<ImageSpec['texts']>,
): NonNullable<PartExample['texts']> =>
  Object.fromEntries(
    languages.map((language) => [
      language,
      Object.hasOwn(captions, language) ? captions[language]!.slice(0, most) : [],
    ]),
  );

function imageTensors(job: EmbedJob, spec: ImageSpec, gathered: Gathered): PartTensors {
  const { examples, hashes } = gathered;
  const { width } = job.model.vision;
  const tensors: Record<string, PartTensors[string]> = {
    hash: { shape: [examples.length, 2], data: Int32Array.from(hashes) },
  };
  for (const [v, view] of spec.views.entries()) {
    const name = viewName(job.model, view);
    const made = joinedRows(gathered.pooled[v]!);
    const pooled = spec.rows === 'unit' ? unitRows({ width, rows: made }).rows : made;
    requireFinite(pooled, width, (i) => `the picture ${examples[i]!.name} of ${examples[i]!.shard}`);
    tensors[`pooled/${name}`] = { shape: [examples.length, width], data: pooled };
    for (const [kind, asked] of [
      ['patches', spec.patches],
      ['aligned', spec.aligned],
    ] as const) {
      if (!asked) continue;
      const data = joinedRows(gathered[kind][v]!);
      const length = examples.length === 0 ? 0 : data.length / width / examples.length;
      tensors[`${kind}/${name}`] = { shape: [examples.length, length, width], data };
    }
    if (spec.grid) tensors[`grid/${name}`] = { shape: [examples.length, 2], data: Int32Array.from(gathered.grids[v]!) };
  }
  return { ...tensors, ...gathered.pixels.tensors };
}

async function captionTensors(
  job: EmbedJob,
  { captions: said, text }: ImageSpec,
  { captions }: Gathered,
  model: FeatureModel,
  events: EmbedEvents,
): Promise<PartTensors> {
  const tensors: Record<string, PartTensors[string]> = {};
  for (const language of said?.languages ?? []) {
    const named = captions!.in(language);
    const data = await embedNamed(named, model, job, text, said!.read, events);
    tensors[`captions/${language}`] = { shape: [named.texts.length, job.model.vision.width], data };
    tensors[`captions-of/${language}`] = { shape: [named.texts.length], data: named.concepts };
  }
  return tensors;
}
