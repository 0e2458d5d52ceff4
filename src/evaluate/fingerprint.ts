import { pixelKinds } from '../data/index/types.ts';
import { hashJson } from '../runtime/hash.ts';
import type { Needs } from './evaluators/contract.ts';
import type { FigureJob, Fingerprint } from './evaluators/job.ts';
import { evaluatorOf } from './evaluators/registry.ts';
import type { FeatureSet } from './features/feature-set.ts';
import type { ImageSpec } from './features/spec.ts';
import { viewName } from './features/view.ts';
import { sampleText } from './tasks/sample.ts';

const short = (value: unknown): string => hashJson(value).slice(0, 16);

/** Of one evaluator at one view, as it was done. */
export async function fingerprintOf(
  { evaluator, settings, seed, view, test: { spec }, train, classes, codeVersion }: FigureJob,
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

const classesText = (names: readonly string[] | null): string =>
  names === null ? 'first caption of each class' : `${names.length} names, ${short(names)}`;

const templatesText = (templates: readonly string[]): string =>
  templates.length === 0 ? 'none' : `${templates.length}, ${short(templates)}`;

function captionTemplates({ captions }: ImageSpec): string {
  const fields = captions?.read?.fields?.map(({ templates = [] }) => templates) ?? [];
  const all = [...(captions?.read?.templates ?? []), ...fields.flat()];
  return all.length === 0 ? 'none' : `${all.length}, ${short({ read: captions!.read })}`;
}
