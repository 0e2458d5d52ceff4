import type { TextTokenizer } from '../data/example/tokenizer.ts';
import type { Embedder } from '../model/embed.ts';
import { embeddingWidth, type ModelConfig } from '../model/sizes.ts';
import { filled, type ReadSettings, templatesOf } from '../recipe/reading.ts';
import type { Embeddings } from './concept-places.ts';
import type { NamedTexts } from './labels.ts';
import type { Pause } from './numbers/pause.ts';

/** Prompts that are embedded at once: a few batches of the embedder, whatever there is of them. */
const chunk = 256;

/**
 * (n, E) of unit length: each text by itself or, where it has templates, the mean over all of them, normalised again (CLIP,
 * arXiv 2103.00020, 3.1.4; CLIP_benchmark's `zero_shot_classifier`).
 */
export async function embedTexts(
  { texts, fields, concepts }: NamedTexts,
  embedder: Pick<Embedder, 'texts'>,
  tokenizer: TextTokenizer,
  model: ModelConfig,
  read: ReadSettings | undefined,
  pause: Pause,
): Promise<Embeddings> {
  const width = embeddingWidth(model);
  const rows = new Float32Array(texts.length * width);
  const sums = new Map<number, Float64Array>();
  const held: { prompt: string; text: number; of: number }[] = [];
  const flush = async () => {
    if (held.length === 0) return;
    const found = embedder.texts(
      tokenizer.tokenize(
        held.map(({ prompt }) => prompt),
        model.text.length,
      ),
    );
    for (const [i, { text, of }] of held.entries()) {
      const row = found.subarray(i * width, (i + 1) * width);
      if (of === 1) rows.set(row, text * width);
      else add(sums, text, row);
    }
    // All but the last have had all their prompts: those of a text follow one another.
    for (const [text, sum] of sums)
      if (text !== held.at(-1)!.text) {
        rows.set(normalised(sum), text * width);
        sums.delete(text);
      }
    held.length = 0;
    await pause();
  };
  for (const [text, said] of texts.entries()) {
    const templates = templatesOf(read, fields?.[text]);
    const prompts = templates?.map((template) => filled(template, said)) ?? [said];
    for (const prompt of prompts) {
      held.push({ prompt, text, of: prompts.length });
      if (held.length === chunk) await flush();
    }
  }
  await flush();
  for (const [text, sum] of sums) rows.set(normalised(sum), text * width);
  return { width, rows, concepts };
}

function add(sums: Map<number, Float64Array>, text: number, row: Float32Array): void {
  const sum = sums.get(text) ?? new Float64Array(row.length);
  for (const [k, value] of row.entries()) sum[k]! += value;
  sums.set(text, sum);
}

/** Prompts that cancel out leave no direction: the zero row. */
function normalised(sum: Float64Array): Float32Array {
  const length = Math.sqrt(sum.reduce((squares, value) => squares + value * value, 0));
  return Float32Array.from(sum, (value) => (length > 0 ? value / length : 0));
}
