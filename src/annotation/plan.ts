import pMap from 'p-map';
import { readClassnames } from '../data/index/classnames.ts';
import { mappingOf, shardsBelow } from '../data/index/index-data.ts';
import type { Mapping } from '../data/index/types.ts';
import { placesOf } from '../recipe/places.ts';
import { foreign } from '../recipe/reading.ts';
import { RunnerError } from '../runtime/errors.ts';
import { hashJson } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { BoxRules } from './boxes.ts';
import { type DetectorFiles, describeDetector } from './detector-files.ts';
import { categoriesOf } from './queries.ts';
import { type AnnotationSettings, templatesOf } from './settings.ts';

/** What the boxes of a picture depend on beside the picture, its captions and the detector. */
export interface Asking extends Pick<AnnotationSettings, 'language' | 'ngrams'> {
  readonly categories: readonly string[];
  readonly categoryScale: number;
  readonly templates: readonly string[];
  readonly rules: BoxRules;
}

/** An annotation, resolved: everything that its shards need, once and for all. It grows with the shards alone. */
export interface AnnotationPlan {
  readonly out: string;
  readonly detector: DetectorFiles;
  readonly read?: Mapping;
  readonly asking: Asking;
  /** sha256 of detector, reading and asking: regions of two annotations never lie under one prefix. */
  readonly annotation: string;
  readonly shards: readonly { readonly key: string; readonly bytes: number; readonly etag: string }[];
}

/** Looks at all that an annotation names. RecipeInvalid or DataContract, before anything is spent. */
export async function planAnnotation(store: ObjectStore, settings: AnnotationSettings): Promise<AnnotationPlan> {
  const mapping = foreign(settings.read);
  const names = mapping?.classnames === undefined ? null : await readClassnames(store, mapping.classnames);
  const read = mapping && mappingOf(mapping, names?.classnames);
  const found = (await pMap(placesOf(settings.data), (place) => shardsBelow(store, place), { concurrency: 4 })).flat();
  const keys = new Map(found.map(({ key, bytes, etag }) => [key, { key, bytes, etag }]));
  const shards = [...keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const detector = await describeDetector(store, settings.detector);
  const { language, ngrams, categoryScale, imageThreshold, boxThreshold, nms, mostBoxes } = settings;
  const categories = await categoryTexts(store, settings.categories);
  const asking: Asking = {
    language,
    ngrams,
    categories,
    // Alone they stand for themselves.
    categoryScale: ngrams.most === 0 ? 1 : categoryScale,
    templates: templatesOf(settings),
    rules: { imageThreshold, boxThreshold, nms, mostBoxes },
  };
  const annotation = hashJson({ files: detector.files, read: read ?? null, asking });
  return { out: settings.out, detector, ...(read && { read }), asking, annotation, shards };
}

async function categoryTexts(store: ObjectStore, said: AnnotationSettings['categories']): Promise<string[]> {
  if (said === undefined) return [];
  const texts = typeof said === 'string' ? (await readClassnames(store, said)).classnames : said;
  const categories = categoriesOf(texts);
  if (categories.length > 0) return categories;
  throw new RunnerError('RecipeInvalid', 'categories: none of the texts has a letter or a digit');
}
