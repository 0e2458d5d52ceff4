import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { Pixels } from '../data/example/pixels.ts';
import { RunnerError } from '../runtime/errors.ts';
import { readJsonText } from '../runtime/json-text.ts';
import type { Proposals } from './boxes.ts';
import { halves } from './detector-halves.ts';
import { whole } from './detector-whole.ts';
import type { Graphs, Needs, Runtime } from './graphs.ts';
import { modelFiles } from './model-files.ts';
import { type PixelRules, pixelRules, pixelValues } from './pixel-values.ts';
import { queryTokenizer } from './query-tokens.ts';

/** Answers a picture and queries with boxes and their logits. */
export interface Detector {
  /** `templates`: logits are means over the texts that a query makes in each. */
  propose(image: Pixels, queries: readonly string[], templates: readonly string[]): Promise<Proposals>;
  close(): Promise<void>;
}

/**
 * Opens the detector in a local folder: OWL-ViT or OWLv2 as ONNX. DataContract, with what was found and what is needed,
 * where it is none. The native module of ONNX Runtime comes in here and nowhere else.
 *
 * @param name where the detector lies, for errors
 */
export async function openDetector(folder: string, name: string): Promise<Detector> {
  const fail = (problem: string) => new RunnerError('DataContract', `detector ${name}: ${problem}`);
  const json = (file: string) => {
    const { value, problem } = readJsonText(readFileSync(join(folder, file)));
    if (problem !== undefined) throw fail(`${file}: ${problem}`);
    return value;
  };
  const told = <T>(file: string, make: () => T): T => {
    try {
      return make();
    } catch (error) {
      throw error instanceof RunnerError ? error : fail(`${file}: ${(error as Error).message.split('\n')[0]}`);
    }
  };
  const rules = told('preprocessor_config.json', () => pixelRules(json('preprocessor_config.json')));
  const config = existsSync(join(folder, 'tokenizer_config.json')) ? json('tokenizer_config.json') : {};
  const tokenize = told('tokenizer.json', () => queryTokenizer(json('tokenizer.json') as object, config as object));
  const runtime = await import('onnxruntime-node');
  const open = async (file: string, needs: Needs) => {
    const session = await runtime.InferenceSession.create(join(folder, file)).catch((error: Error) => {
      throw fail(`${file} can't be opened: ${error.message.split('\n')[0]!.slice(0, 200)}`);
    });
    const problem = needProblem(session, needs, rules);
    if (problem !== null) throw fail(`${file} ${problem}`);
    return session;
  };
  const files = modelFiles((file) => existsSync(join(folder, file)));
  if (files === null) throw fail('it has no model.onnx');
  const parts = { runtime, tokenize, open };
  const graphs = 'whole' in files ? await whole(parts, files.whole) : await halves(parts, files);
  return detectorOf(runtime, graphs, rules, fail);
}

function needProblem({ inputNames, outputNames, inputMetadata }: InferenceSession, needs: Needs, rules: PixelRules) {
  const lacks = [
    ...needs.inputs.filter((name) => !inputNames.includes(name)),
    ...needs.outputs.filter((name) => !outputNames.includes(name)),
  ];
  if (lacks.length > 0)
    return `has no ${lacks.join(', ')}: it takes ${inputNames.join(', ')} and gives ${outputNames.join(', ')}; needed is OWL-ViT or OWLv2 as optimum or export_detector.py writes it`;
  const unknown = inputNames.filter((name) => !needs.inputs.includes(name) && name !== 'attention_mask');
  if (unknown.length > 0) return `takes ${unknown.join(', ')} too, which nothing gives it`;
  for (const one of inputMetadata) {
    if (!one.isTensor) continue;
    const wanted = one.name === 'pixel_values' || one.name === 'query_embeds' ? 'float32' : 'int64';
    if (one.type !== wanted) return `takes ${one.name} as ${one.type}; needed is ${wanted}`;
    const [height, width] = one.shape.slice(2);
    const other = (side: unknown, own: number) => typeof side === 'number' && side !== own;
    if (one.name === 'pixel_values' && (other(height, rules.height) || other(width, rules.width)))
      return `takes pictures of ${width} x ${height}, and preprocessor_config.json says ${rules.width} x ${rules.height}`;
  }
  return null;
}

function detectorOf(
  { Tensor }: Runtime,
  graphs: Graphs,
  rules: PixelRules,
  fail: (problem: string) => Error,
): Detector {
  return {
    async propose(image, queries, templates) {
      const nothing = new Float32Array();
      if (queries.length === 0)
        return { logits: nothing, boxes: nothing, count: { boxes: 0, queries: 0 }, seen: { width: 1, height: 1 } };
      const { values, seen } = pixelValues(image, rules);
      const pixels = new Tensor('float32', values, [1, 3, rules.height, rules.width]);
      const { logits, boxes } = await graphs.run(pixels, queries, templates).catch((error: Error) => {
        throw error instanceof RunnerError ? error : fail(`it failed: ${error.message.split('\n')[0]!.slice(0, 200)}`);
      });
      const count = { boxes: boxes.length / 4, queries: queries.length };
      if (!Number.isInteger(count.boxes) || logits.length !== count.boxes * count.queries)
        throw fail(`it gave ${boxes.length} numbers of boxes and ${logits.length} logits for ${count.queries} queries`);
      return { logits, boxes, count, seen };
    },
    async close() {
      for (const session of graphs.sessions) await session.release();
    },
  };
}
