import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { modelConfigFile } from '../checkpoint/hugging-face/config.ts';
import { tokenizerFolderFiles } from '../checkpoint/hugging-face/tokenizer.ts';
import { processorAndTokenizer } from '../checkpoint/hugging-face/write-folder.ts';
import { openModel } from '../checkpoint/open-model.ts';
import { processingOf } from '../checkpoint/processing.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { requireSpace } from '../runtime/disk.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeFolder } from '../runtime/make-folder.ts';
import { requireNothingAt, wholeFolder } from '../runtime/whole-folder.ts';
import { decoderGraph } from './decoder.ts';
import { type DecoderWeightsFile, openDecoder } from './decoder-file.ts';
import { type FloatKind, weightBytes } from './graph.ts';
import { decoderHalfCost, type HalfCost, halfCost } from './half-cost.ts';
import { graphOf, type Part, parts } from './models.ts';
import { opsets } from './proto.ts';
import { Weights } from './weights.ts';
import { type WrittenModel, writeModel } from './write-model.ts';

export interface OnnxOptions {
  readonly parts: readonly Part[];
  readonly dtypes: readonly FloatKind[];
  readonly opset: number;
  /** A folder for what is tried before anything is written. */
  readonly scratch: string;
  /** Version of the program, which goes into the files. */
  readonly producer: string;
  /** Bytes of a file, 2 GB where it is left out. */
  readonly largest?: number;
  /** Called for each file of a graph that is whole, and for what float16 costs a tower or the decoder. */
  readonly onWritten?: (written: WrittenModel) => void;
  readonly onCost?: (tower: 'image' | 'text' | 'decoder', cost: HalfCost) => void;
}

/**
 * Writes a model folder or `.npz` as ONNX: `onnx/model.onnx`, `onnx/vision_model.onnx`, `onnx/text_model.onnx`,
 * `onnx/decoder_model.onnx`, those of float16 with `_fp16`, and beside them config, processor and tokenizer, as transformers.js and optimum look for them. `out`
 * appears when all of it is there. No large tensor is ever whole in memory. RecipeInvalid for what can't be exported, before
 * anything is written.
 */
export async function exportOnnx(source: string, out: string, options: OnnxOptions): Promise<void> {
  const { opset, dtypes, producer, scratch } = options;
  await requireWritable(out, opset);
  const model = await openModel(source);
  let decoder: DecoderWeightsFile | null = null;
  try {
    const { config, tensors } = model;
    if (options.parts.includes('decoder')) decoder = await openDecoder(source, config);
    const files = await folderFiles(source, config);
    if (decoder?.ids) files.push({ path: 'onnx/decoder_vocabulary.json', content: `${JSON.stringify(decoder.ids)}\n` });
    if (dtypes.includes('f16')) {
      for (const tower of ['image', 'text'] as const)
        if (options.parts.includes(tower) || options.parts.includes('both'))
          options.onCost?.(tower, await halfCost(tower, tensors, config, { scratch, opset, producer }));
      if (decoder)
        options.onCost?.('decoder', await decoderHalfCost(decoder, tensors, config, { scratch, opset, producer }));
    }
    const weights = new Weights(tensors);
    const graphs = options.parts.flatMap((one) =>
      dtypes.map((dtype) => ({
        file: `${parts[one]}${dtype === 'f16' ? '_fp16' : ''}.onnx`,
        graph: one === 'decoder' ? decoderGraph(decoder!, dtype, opset) : graphOf(one, weights, config, dtype, opset),
      })),
    );
    await wholeFolder(out, async (part) => {
      makeFolder(part, 'name');
      const needed = graphs
        .flatMap(({ graph }) => [...graph.weights.values()])
        .reduce((sum, w) => sum + weightBytes(w), 0);
      await requireSpace(part, needed);
      await mkdir(join(part, 'onnx'));
      const apart: Record<string, number> = {};
      for (const { file, graph } of graphs) {
        const { largest } = options;
        const written = await writeModel(join(part, 'onnx'), file, graph, {
          producer,
          ...(largest !== undefined && { largest }),
        });
        if (written.data.length > 0) apart[file] = written.data.length;
        options.onWritten?.(written);
      }
      for (const { path, content } of files) await writeFile(join(part, path), content);
      await writeFile(join(part, 'config.json'), configWith(config, apart));
    });
  } finally {
    await decoder?.close();
    await model.close();
  }
}

/** RecipeInvalid for what can't be, whatever the model: asked before one is fetched as well. */
export async function requireWritable(out: string, opset: number): Promise<void> {
  if (!opsets.includes(opset))
    throw new RunnerError('RecipeInvalid', `--opset is ${opset}; allowed: ${opsets.join(', ')}`);
  await requireNothingAt(out);
}

/**
 * Processor and tokenizer, which transformers.js takes from two files alone and by their letter: settings that transformers
 * keeps in processor_config.json go where it looks, and a tokenizer that lower-cases by its class does so by its rules.
 */
async function folderFiles(source: string, config: ModelConfig) {
  const from = source.endsWith('.npz') ? undefined : source;
  const { texts } = await processingOf(source, config);
  const found = new Map((await processorAndTokenizer(config, from)).map(({ path, content }) => [path, content]));
  const nested = found.get('processor_config.json');
  const own = nested && (JSON.parse(nested.toString()) as { image_processor?: object }).image_processor;
  if (own) found.set('preprocessor_config.json', `${JSON.stringify(own, null, 2)}\n`);
  if (texts.lowerCase && !lowerCases(found.get('tokenizer.json')))
    for (const { path, content } of await tokenizerFolderFiles(config)) found.set(path, content);
  return [...found].map(([path, content]) => ({ path, content }));
}

const lowerCases = (tokenizer: string | Buffer | undefined): boolean =>
  tokenizer !== undefined &&
  JSON.stringify((JSON.parse(tokenizer.toString()) as { normalizer?: unknown }).normalizer ?? null).includes(
    '"Lowercase"',
  );

/** Where weights lie beside a graph, transformers.js has to be told how many files they are. */
function configWith(config: ModelConfig, apart: Readonly<Record<string, number>>): string {
  const { content } = modelConfigFile(config);
  if (Object.keys(apart).length === 0) return content;
  const told = { ...JSON.parse(content), 'transformers.js_config': { use_external_data_format: apart } };
  return `${JSON.stringify(told, null, 2)}\n`;
}
