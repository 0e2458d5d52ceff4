import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openModel } from '../checkpoint/open-model.ts';
import { decodeImage } from '../data/example/decode.ts';
import type { Pixels } from '../data/example/pixels.ts';
import { loadTokenizer } from '../data/example/tokenizer.ts';
import { naflexPatches } from '../data/views/naflex-resize.ts';
import { squarePixels } from '../data/views/preprocess.ts';
import { openEmbedder } from '../model/embed.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { paths } from '../runtime/paths.ts';
import { writeSafetensors } from '../safetensors/safetensors.ts';

export interface EmbedOptions {
  readonly model: string;
  readonly image?: readonly string[];
  readonly text?: readonly string[];
}

/** Named as transformers names them; rows are normalised. */
export interface Embeddings {
  readonly image_embeds: readonly (readonly number[])[];
  readonly text_embeds: readonly (readonly number[])[];
  /** exp(logit_scale) text . image + logit_bias: (texts, images). */
  readonly logits_per_text: readonly (readonly number[])[];
}

/** `siglip2 embed`: what transformers' processor and model make of these images and texts. */
export async function embed(options: EmbedOptions & { readonly patches: number }): Promise<Embeddings> {
  const { model, image = [], text = [], patches } = options;
  if (!(Number.isInteger(patches) && patches >= 1 && patches <= 65_536))
    throw new RunnerError('RecipeInvalid', '--max-num-patches takes a whole number of 1 to 65536');
  if (image.length + text.length === 0)
    throw new RunnerError('RecipeInvalid', 'nothing to embed: give --image FILE ... or --text TEXT ...');
  const pictures: Pixels[] = [];
  for (const file of image) pictures.push(await pictureOf(file));
  const folder = await openModel(model);
  await mkdir(paths().scratch, { recursive: true });
  const own = await mkdtemp(join(paths().scratch, 'embed-'));
  try {
    const { config } = folder;
    // One file in F32, whatever the folder holds.
    await writeSafetensors(join(own, 'model.safetensors'), folder.tensors);
    const tokens = loadTokenizer().tokenize(text, config.text.length);
    const ids = [...new Set(tokens)].sort((a, b) => a - b);
    const embedder = await openEmbedder(own, config, ids.length > 0 ? ids : [0], { patches });
    try {
      const width = embeddingWidth(config);
      const { kind, patch, resolution } = config.vision;
      const images =
        pictures.length === 0
          ? new Float32Array()
          : kind === 'naflex'
            ? embedder.patches(pictures.map((picture) => naflexPatches(picture, patch, patches)))
            : embedder.images(Buffer.concat(pictures.map((one) => squarePixels(one, resolution, 'transformers'))));
      const texts = text.length === 0 ? new Float32Array() : embedder.texts(tokens);
      const [image_embeds, text_embeds] = [rowsOf(images, width), rowsOf(texts, width)];
      const { temperature, logitBias } = embedder;
      const logits_per_text = text_embeds.map((t) =>
        image_embeds.map((i) => temperature * t.reduce((sum, x, k) => sum + x * i[k]!, 0) + logitBias),
      );
      return { image_embeds, text_embeds, logits_per_text };
    } finally {
      embedder.dispose();
    }
  } finally {
    await folder.close();
    await rm(own, { recursive: true, force: true });
  }
}

async function pictureOf(file: string): Promise<Pixels> {
  const bytes = await readFile(file).catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} can't be read (${cause.code}); name a picture`, { cause });
  });
  return decodeImage(bytes).catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} is no picture that can be decoded: ${cause.message}`, { cause });
  });
}

const rowsOf = (values: Float32Array, width: number) =>
  Array.from({ length: values.length / width }, (_, i) => [...values.subarray(i * width, (i + 1) * width)]);

/** For people: each text with its probability for each image, the sigmoid of its logit. */
export function formatEmbeddings({ logits_per_text }: Embeddings, { image = [], text = [] }: EmbedOptions): string {
  if (image.length === 0 || text.length === 0)
    return 'give images and texts to compare them, or --json for the numbers\n';
  const percent = (logit: number) => `${(100 / (1 + Math.exp(-logit))).toFixed(2)} %`.padStart(9);
  const lines = image.flatMap((file, i) => [
    file,
    ...text.map((said, t) => `  ${percent(logits_per_text[t]![i]!)}  ${said}`),
  ]);
  return `${lines.join('\n')}\n`;
}
