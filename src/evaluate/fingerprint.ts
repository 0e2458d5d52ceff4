import { pixelKinds } from '../data/index/types.ts';
import { hashJson } from '../runtime/hash.ts';
import type { Needs } from './evaluators/contract.ts';
import type { FigureJob, Fingerprint } from './evaluators/job.ts';
import { evaluatorOf } from './evaluators/registry.ts';
import type { FeatureSet } from './features/feature-set.ts';
import type { ImageSpec } from './features/spec.ts';
import { viewName } from './features/view.ts';
import { sampleText } from './tasks/sample.ts';
import type { TrainedOn } from './trained-on.ts';

const short = (value: unknown): string => hashJson(value).slice(0, 16);

/** Of one evaluator at one view, as it was done. */
export async function fingerprintOf(
  { evaluator, settings, seed, languages, view, test: { spec }, train, classes, trainedOn, codeVersion }: FigureJob,
  sets: { readonly test: FeatureSet; readonly train: FeatureSet | null },
  device: 'cpu' | 'gpu',
  made: Fingerprint,
): Promise<Fingerprint> {
  const own = evaluatorOf(evaluator);
  const needs = own.needs(classes !== null, settings);
  const { config, sha256 } = spec.model;
  const learns = needs.train && train && sets.train;
  return {
    'model.sha256': sha256,
    ...(await ofSet('data', spec, sets.test)),
    ...(learns && {
      ...(await ofSet('train', train.spec, sets.train!)),
      'train.overlap': await overlap(sets.test, sets.train!),
    }),
    ...(trainedOn !== undefined && { 'model.trained_on': trainedText(trainedOn) }),
    'image.view': viewName(config, view),
    'image.resize': config.vision.kind === 'naflex' ? 'antialias, shape kept' : `${spec.resize}, squashed to a square`,
    'image.masks': needs.mask || needs.depth || needs.normals ? await sizesOf(sets.test, needs) : 'none',
    ...((needs.captions || needs.classes) && {
      'text.case': spec.text.case,
      'text.padding': 'right, token 0, after one end token',
      'text.length': config.text.length,
      'text.templates': classes && needs.classes ? templatesText(classes.spec.templates) : captionTemplates(spec),
    }),
    ...(own.needs(true, settings).classes && { 'text.classes': classesText(classes?.spec.names ?? null) }),
    ...(needs.captions && spec.captions && { 'text.captions': `at most ${spec.captions.most} of a picture` }),
    ...(needs.texts && spec.texts && { 'text.captions': `at most ${spec.texts.most} of a picture, as texts` }),
    // One decoder learns the texts of all of them.
    ...(own.lesson && needs.texts && { 'text.languages': languages.join(', ') }),
    precision: 'f32',
    device,
    code: codeVersion,
    ...made,
    ...Object.fromEntries(
      Object.entries(own.protocol(settings, seed)).map(([name, value]) => [`${evaluator}.${name}`, value]),
    ),
  };
}

async function ofSet(at: string, spec: ImageSpec, set: FeatureSet): Promise<Fingerprint> {
  const hashes = await set.hashes();
  return {
    [`${at}.shards`]: spec.data.fingerprint.slice(0, 16),
    [`${at}.read`]: spec.data.read ? short(spec.data.read) : 'own JSON',
    [`${at}.sample`]: sampleText(spec.sample),
    [`${at}.pictures`]: `${hashes.length}, ${short([...hashes].sort())}`,
    [`${at}.labels`]: short(set.concepts),
    [`${at}.duplicates`]: hashes.length - new Set(hashes).size,
  };
}

/** Of truth with a value a pixel, its sizes: figures are told at them. */
async function sizesOf({ parts }: FeatureSet, needs: Needs): Promise<string> {
  const kind = pixelKinds.find((one) => needs[one])!;
  const found: string[] = [];
  for (const part of parts) {
    const sizes = await part.integers(`${kind}/sizes`);
    for (let i = 0; i < sizes.length; i += 2) if (sizes[i]! > 0) found.push(`${sizes[i + 1]} x ${sizes[i]}`);
  }
  const different = [...new Set(found)].sort();
  return different.length <= 3 ? `own size, ${different.join(', ')}` : `own sizes, ${short([...found].sort())}`;
}

/** Pictures of the test set whose very file is in train too. */
async function overlap(test: FeatureSet, train: FeatureSet): Promise<number> {
  const known = new Set(await train.hashes());
  return (await test.hashes()).filter((hash) => known.has(hash)).length;
}

/** Of pictures that the model was trained on: their number, and of how many where not all were compared. */
const trainedText = (found: TrainedOn | null): string | number => {
  if (!found) return 'not known';
  return found.compared === found.of
    ? found.pictures
    : `${found.pictures}, only ${found.compared} of ${found.of} compared`;
};

const classesText = (names: readonly string[] | null): string =>
  names === null ? 'first caption of each class' : `${names.length} names, ${short(names)}`;

const templatesText = (templates: readonly string[]): string =>
  templates.length === 0 ? 'none' : `${templates.length}, ${short(templates)}`;

function captionTemplates({ captions }: ImageSpec): string {
  const fields = captions?.read?.fields?.map(({ templates = [] }) => templates) ?? [];
  const all = [...(captions?.read?.templates ?? []), ...fields.flat()];
  return all.length === 0 ? 'none' : `${all.length}, ${short({ read: captions!.read })}`;
}
