import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { foldNormalisation } from '../checkpoint/hugging-face/fold-normalisation.ts';
import { openModel } from '../checkpoint/open-model.ts';
import { processingOf } from '../checkpoint/processing.ts';
import type { Pixels } from '../data/example/pixels.ts';
import { loadTokenizer } from '../data/example/tokenizer.ts';
import { openEmbedder } from '../model/embed.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeOwnFolder } from '../runtime/make-folder.ts';
import { paths } from '../runtime/paths.ts';
import { writeSafetensors } from '../safetensors/safetensors.ts';
import { patchesOf, readPicture, squareOf } from './picture.ts';

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

/**
 * `siglip2 embed`: what transformers' processors and model make of these images and texts, as the files of the folder say.
 *
 * @param options `patches`: of an image, NaFlex; what the folder says where it is left out
 */
export async function embed(options: EmbedOptions & { readonly patches?: number }): Promise<Embeddings> {
  const { model, image = [], text = [] } = options;
  const asked = options.patches ?? 1;
  if (!(Number.isInteger(asked) && asked >= 1 && asked <= 65_536))
    throw new RunnerError('RecipeInvalid', '--max-num-patches takes a whole number of 1 to 65536');
  if (image.length + text.length === 0)
    throw new RunnerError('RecipeInvalid', 'nothing to embed: give --image FILE ... or --text TEXT ...');
  const pictures: Pixels[] = [];
  for (const file of image) pictures.push(await readPicture(file));
  const folder = await openModel(model);
  makeOwnFolder(paths().scratch, 'SIGLIP2_SCRATCH');
  const own = await mkdtemp(join(paths().scratch, 'embed-'));
  try {
    const { config } = folder;
    const { images: processing, texts: rules } = await processingOf(model, config);
    const patches = options.patches ?? processing.patches;
    // One file in F32, whatever the folder holds.
    await writeSafetensors(join(own, 'model.safetensors'), foldNormalisation(folder, processing));
    const tokens = loadTokenizer(rules).tokenize(text, config.text.length);
    const ids = [...new Set(tokens)].sort((a, b) => a - b);
    const embedder = await openEmbedder(own, config, ids.length > 0 ? ids : [0], { patches });
    try {
      const width = embeddingWidth(config);
      const images =
        pictures.length === 0
          ? new Float32Array()
          : config.vision.kind === 'naflex'
            ? embedder.patches(pictures.map((one, i) => patchesOf(image[i]!, one, config, processing, patches)))
            : embedder.images(Buffer.concat(pictures.map((one, i) => squareOf(image[i]!, one, config, processing))));
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
