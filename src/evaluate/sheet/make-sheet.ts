import { readFile, writeFile } from 'node:fs/promises';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { openIndex } from '../../data/index/open-index.ts';
import type { ShardStore } from '../../data/index/part-reader.ts';
import { patientReads } from '../../data/index/patient-store.ts';
import type { StoredIndex } from '../../data/index/types.ts';
import { openFeatureModel } from '../../model/features.ts';
import { openMapAttention } from '../../model/map-attention.ts';
import { objectStoreFromEnvironment } from '../../storage/s3.ts';
import { embedNamed } from '../features/embed-named.ts';
import type { EmbedEvents } from '../features/job.ts';
import { viewName } from '../features/view.ts';
import { ImageCaptions } from '../image-captions.ts';
import type { NamedTexts } from '../labels.ts';
import { type Matrix, takeRows, unitRows } from '../numbers/matrix.ts';
import { type Nearest, nearestBothWays, nearestOf } from '../numbers/nearest.ts';
import { conceptClasses, namedClasses, type SheetClasses, takenFor } from './classes.ts';
import { foundIn } from './found.ts';
import type { SheetJob } from './job.ts';
import { type Looked, lookAt, most, short } from './look.ts';
import { mapsOf, maskOf } from './maps.ts';
import type { Sheet } from './sheet.ts';

const shown = { queries: 8, nearest: 5 };

/**
 * Looks at up to 1,000 pictures with a model and writes what it makes of them as a sheet: a pure function of model and data.
 * Null when it was stopped. Errors: DataContract, CheckpointDamaged, NonFinite.
 */
export async function makeSheet(
  job: SheetJob,
  events: EmbedEvents,
  source: ShardStore = objectStoreFromEnvironment(),
): Promise<{ readonly pictures: number } | null> {
  const { folder, model: config, spec, classes, out } = job;
  const store = patientReads(source, events.note);
  const index = openIndex(JSON.parse(await readFile(job.indexFile, 'utf8')) as StoredIndex, store);
  const view = spec.views.at(-1)!;
  const model = await openFeatureModel(folder, config, { sizes: [view], patches: true, aligned: true });
  try {
    const seen = await lookAt(job, model, { store, index }, events);
    if (!seen) return null;
    const { pictures, mapped } = seen;
    const images = unitRows({ width: config.vision.width, rows: seen.pooled });
    const pause = async () => {
      await yieldToEvents();
      events.signal.throwIfAborted();
    };
    const texts = async (named: NamedTexts, read: Parameters<typeof embedNamed>[4]): Promise<Matrix> => ({
      width: config.vision.width,
      rows: await embedNamed(named, model, { model: config, part: 0 }, spec.text, read, events),
    });
    const { language, captions } = captionsOf(job, pictures);
    const said = await texts(captions, spec.captions?.read ?? null);
    const among = async (of: SheetClasses, rows: Matrix) => {
      if (rows.rows.length === 0 || pictures.length === 0) return { outcomes: [], confusions: [], masks: [] };
      const nearest = await nearestOf(images, rows, shown.nearest, pause);
      const first = pictures.map((_, i) => nearest.places[i * nearest.k]!);
      const masks: Sheet['masks'] = [];
      for (const one of mapped) {
        const texts = placesOf(nearest, one.place);
        const png = await maskOf(one, takeRows(rows, texts));
        masks.push({ id: one.id, png, texts: texts.map((text) => short(of.names[text]!)) });
      }
      return { ...takenFor(pictures, of, first), masks };
    };
    const byConcept = conceptClasses(pictures, captions);
    const taken = classes
      ? await among(
          namedClasses(classes.names),
          await texts(
            { texts: classes.names, concepts: Int32Array.from(classes.names.keys()) },
            classes.templates.length > 0 ? { templates: [...classes.templates] } : null,
          ),
        )
      : await among(byConcept, takeRows(said, byConcept.rows));
    const { ofA, ofB } =
      captions.texts.length === 0
        ? { ofA: nothing, ofB: nothing }
        : await nearestBothWays(images, said, { kOfA: shown.nearest, kOfB: shown.nearest }, pause);
    const boxed = await foundIn(store, index, job.found ?? []);
    const parts = {
      textToImage: textToImage(pictures, captions, ofB),
      imageToText: imageToText(pictures, captions, ofA),
      ...taken,
      maps: await mapsOf(mapped, await openMapAttention(folder, config)),
      boxes: pictures
        .filter(({ boxes }) => boxes.length > 0)
        .slice(0, most.boxed)
        .map(({ id, boxes }) => ({ id, boxes })),
      found: boxed.found,
    };
    const sheet: Sheet = {
      version: 1,
      model: { name: job.name, sha256: spec.model.sha256 },
      looked: { pictures: pictures.length, of: spec.sample.of, language, view: viewName(config, view) },
      pictures: { ...boxed.pictures, ...used(pictures, parts) },
      ...parts,
    };
    await writeFile(out, `${JSON.stringify(sheet)}\n`);
    return { pictures: Object.keys(sheet.pictures).length };
  } catch (error) {
    if (events.signal.aborted) return null;
    throw error;
  } finally {
    model.dispose();
  }
}

const nothing: Nearest = { k: 0, scores: new Float32Array(), places: new Int32Array() };

/** Of the first language in which there is a caption. */
function captionsOf({ spec, languages }: SheetJob, pictures: readonly Looked[]) {
  const all = new ImageCaptions(languages, spec.captions?.most ?? 1);
  for (const [i, { meta }] of pictures.entries()) all.add(i, meta);
  const language = languages.find((one) => all.in(one).texts.length > 0) ?? null;
  return { language, captions: all.in(language ?? '') };
}

/** Evenly spread numbers below `count`. */
const spread = (count: number) =>
  Array.from({ length: Math.min(shown.queries, count) }, (_, i) =>
    Math.floor((i * count) / Math.min(shown.queries, count)),
  );

const placesOf = ({ k, places }: Nearest, row: number) =>
  [...places.subarray(row * k, (row + 1) * k)].filter((place) => place >= 0);

function textToImage(pictures: readonly Looked[], { texts, concepts }: NamedTexts, ofTexts: Nearest) {
  return spread(texts.length).map((text) => ({
    text: short(texts[text]!),
    nearest: placesOf(ofTexts, text).map((i) => ({ id: pictures[i]!.id, right: concepts[text] === i })),
  }));
}

function imageToText(pictures: readonly Looked[], { texts, concepts }: NamedTexts, ofImages: Nearest) {
  if (texts.length === 0) return [];
  return spread(pictures.length).map((i) => ({
    id: pictures[i]!.id,
    nearest: placesOf(ofImages, i).map((text) => ({ text: short(texts[text]!), right: concepts[text] === i })),
  }));
}

/** The pictures that are named anywhere. */
function used(
  pictures: readonly Looked[],
  parts: Pick<Sheet, 'textToImage' | 'imageToText' | 'outcomes' | 'confusions' | 'maps' | 'boxes'>,
): Sheet['pictures'] {
  const ids = new Set([
    ...parts.textToImage.flatMap(({ nearest }) => nearest.map(({ id }) => id)),
    ...[...parts.imageToText, ...parts.outcomes, ...parts.maps, ...parts.boxes].map(({ id }) => id),
    ...parts.confusions.flatMap(({ ids }) => ids),
  ]);
  return Object.fromEntries(
    pictures
      .filter(({ id }) => ids.has(id))
      .map(({ id, picture }) => [id, picture] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
