import { RunnerError } from '../runtime/errors.ts';
import type { Graphs, Parts } from './graphs.ts';
import { inTemplate } from './queries.ts';
import { queryLength } from './query-tokens.ts';

/** More texts than this take gigabytes in one run, and the graph makes all of them anew for each picture. */
const mostTexts = 4096;

/** One graph, as optimum exports it: input_ids, pixel_values, attention_mask -> logits, pred_boxes. */
export async function whole({ runtime, tokenize, open }: Parts, file: string): Promise<Graphs> {
  const session = await open(file, { inputs: ['input_ids', 'pixel_values'], outputs: ['logits', 'pred_boxes'] });
  const masked = session.inputNames.includes('attention_mask');
  return {
    sessions: [session],
    async run(pixels, queries, templates) {
      const texts = templates.flatMap((template) => queries.map((query) => inTemplate(query, template)));
      if (texts.length > mostTexts)
        throw new RunnerError(
          'RecipeInvalid',
          `a picture has ${queries.length} queries in ${templates.length} templates, and ${file} takes ${mostTexts} texts at most; export_detector.py makes a detector in two halves, which takes any number`,
        );
      const { ids, mask } = tokenize(texts);
      const tensor = (data: BigInt64Array) => new runtime.Tensor('int64', data, [texts.length, queryLength]);
      const out = await session.run(
        { input_ids: tensor(ids), pixel_values: pixels, ...(masked && { attention_mask: tensor(mask) }) },
        ['logits', 'pred_boxes'],
      );
      const logits = meanOverTemplates(out.logits!.data as Float32Array, queries.length, templates.length);
      return { logits, boxes: out.pred_boxes!.data as Float32Array };
    },
  };
}

/** (rows, templates x queries) -> (rows, queries): the mean over templates, which come one after the other. */
function meanOverTemplates(logits: Float32Array, queries: number, templates: number): Float32Array {
  if (templates === 1) return logits;
  const rows = logits.length / (queries * templates);
  const means = new Float32Array(rows * queries);
  for (let row = 0; row < rows; row++)
    for (let q = 0; q < queries; q++) {
      let sum = 0;
      for (let t = 0; t < templates; t++) sum += logits[(row * templates + t) * queries + q]!;
      means[row * queries + q] = sum / templates;
    }
  return means;
}
