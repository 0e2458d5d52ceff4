import { readFile } from 'node:fs/promises';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { readExamples } from '../data/example/read-examples.ts';
import { collectTokenIds } from '../data/example/token-ids.ts';
import { loadTokenizer, rulesOf } from '../data/example/tokenizer.ts';
import { corruptIn, openIndex } from '../data/index/open-index.ts';
import type { ShardStore } from '../data/index/part-reader.ts';
import { patientReads } from '../data/index/patient-store.ts';
import { SkippedMembers } from '../data/index/skipped-members.ts';
import type { CorruptMember, DataIndex, SkippedSummary, StoredIndex } from '../data/index/types.ts';
import { resizeOf } from '../data/views/preprocess.ts';
import { type Embedder, openEmbedder } from '../model/embed.ts';
import { embeddingWidth, wholeVocabulary } from '../model/sizes.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import type { Embeddings } from './concept-places.ts';
import { embedTexts } from './embed-texts.ts';
import { captionsThatCount, ImageCaptions } from './image-captions.ts';
import { imageInput, storedPatches } from './image-input.ts';
import type { EvaluateJob } from './job.ts';
import { Labels, type NamedTexts } from './labels.ts';
import { joinedRows } from './numbers/matrix.ts';
import { type EvaluationReport, evaluateEmbeddings } from './report.ts';

/** What an evaluate job answers: figures, and how many examples could not be used. */
export interface ModelEvaluation extends EvaluationReport {
  readonly examples: number;
  readonly corrupt: number;
  /** What could not be used, by reason; absent when all could. */
  readonly skipped?: SkippedSummary;
}

/** Images that are embedded at once: a few batches of the embedder, whatever the size of the data set. */
const chunk = 256;

/**
 * Embeds the evaluation data with the model below `job.folder` and evaluates it: a pure function of the two, so a
 * retry gives the same figures. Waits through an outage of the store, telling `note`. Errors: DataContract,
 * CheckpointDamaged.
 */
export async function evaluateModel(
  job: EvaluateJob,
  note: (text: string) => void,
  source: ShardStore = objectStoreFromEnvironment(),
): Promise<ModelEvaluation> {
  const store = patientReads(source, note);
  const index = openIndex(JSON.parse(await readFile(job.indexFile, 'utf8')) as StoredIndex, store);
  note('reading captions');
  const tokenizer = loadTokenizer(rulesOf(job.model));
  // What lies around an added token is cut otherwise than sets of tokens in the bucket know.
  const ids = job.model.text.addedTokens
    ? Array.from({ length: wholeVocabulary(job.model.text) }, (_, id) => id)
    : await collectTokenIds(store, index, job.languages, { read: job.read });
  const embedder = await openEmbedder(job.folder, job.model, ids, { patches: storedPatches(job.model) });
  try {
    const labels = new Labels(job.languages);
    const most = captionsThatCount(job.read);
    const captions = most === null ? null : new ImageCaptions(job.languages, most);
    const corrupt: CorruptMember[] = [];
    const images = await embedImages(job, index, store, embedder, { labels, captions }, corrupt, note);
    const pause = pauses(() => note('comparing images and texts'));
    const embedded = (texts: NamedTexts) => embedTexts(texts, embedder, tokenizer, job.model, job.read, pause);
    const [texts, ofImages]: [Record<string, Embeddings>, Record<string, Embeddings>] = [{}, {}];
    for (const language of labels.languages) {
      const named = labels.in(language);
      texts[language] = await embedded(named);
      const all = captions?.in(language);
      // One caption an image, and each its own concept: they are the labels.
      if (all && !isSame(all, named)) ofImages[language] = await embedded(all);
    }
    const report = await evaluateEmbeddings(images, texts, pause, ofImages);
    const skipped = new SkippedMembers([...index.corrupt, ...corrupt]).summary();
    return {
      examples: images.concepts.length,
      corrupt: corruptIn(index) + corrupt.length,
      ...(skipped && { skipped }),
      ...report,
    };
  } finally {
    embedder.dispose();
  }
}

const isSame = (a: NamedTexts, b: NamedTexts) =>
  a.texts.length === b.texts.length && a.concepts.every((concept, i) => concept === b.concepts[i]);

/** A pause lets messages through when the process was busy for a while, and says now and then that it is at work. */
function pauses(tell: () => void): () => Promise<void> {
  let [paused, told] = [performance.now(), performance.now()];
  return async () => {
    const now = performance.now();
    if (now - paused < 200) return;
    if (now - told > 10_000) {
      tell();
      told = now;
    }
    await yieldToEvents();
    paused = performance.now();
  };
}

async function embedImages(
  { model, maxExamples, ...job }: EvaluateJob,
  index: DataIndex,
  store: ShardStore,
  embedder: Embedder,
  { labels, captions }: { readonly labels: Labels; readonly captions: ImageCaptions | null },
  corrupt: CorruptMember[],
  note: (text: string) => void,
): Promise<Embeddings> {
  const parts: Float32Array[] = [];
  const concepts: number[] = [];
  const input = imageInput(model, resizeOf(job));
  const held: unknown[] = [];
  const flush = () => {
    if (held.length > 0) parts.push(input.embed(embedder, held));
    held.length = 0;
  };
  const total = Math.min(index.examples, maxExamples);
  const options = { max: maxExamples, onCorrupt: (member: CorruptMember) => corrupt.push(member) };
  for await (const { image, meta } of readExamples(store, index, options)) {
    held.push(input.prepare(image));
    captions?.add(concepts.length, meta);
    concepts.push(labels.add(meta));
    if (held.length < chunk) continue;
    flush();
    note(`${outOf(concepts.length, total, 'image')} embedded`);
  }
  flush();
  if (concepts.length === 0) {
    throw new RunnerError(
      'DataContract',
      `data.evaluation: none of the ${counted(index.examples, 'example')} below ${index.prefix}/ can be used, the first because: ` +
        `${corrupt[0]?.reason ?? index.corrupt[0]?.reason ?? 'evaluate.maxExamples is 0'}`,
    );
  }
  return { width: embeddingWidth(model), rows: joinedRows(parts), concepts: Int32Array.from(concepts) };
}
