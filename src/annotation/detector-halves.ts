import type { Graphs, Parts } from './graphs.ts';
import { inTemplate } from './queries.ts';
import { queryLength } from './query-tokens.ts';

const textsAtOnce = 256;
/** Queries whose embeddings are kept: 40 MB of a width of 512. Categories are met with every picture, and stay. */
const queriesKept = 20_000;

/**
 * Two graphs, as export_detector.py makes them: input_ids, attention_mask -> text_embeds (Q, D), of length 1; and
 * pixel_values, query_embeds (Q, D) -> logits, pred_boxes. A query is embedded once, as the mean over its templates: its
 * logits are the means of theirs, since they are linear in it.
 */
export async function halves(
  { runtime, tokenize, open }: Parts,
  files: { readonly text: string; readonly image: string },
): Promise<Graphs> {
  const text = await open(files.text, { inputs: ['input_ids'], outputs: ['text_embeds'] });
  const image = await open(files.image, {
    inputs: ['pixel_values', 'query_embeds'],
    outputs: ['logits', 'pred_boxes'],
  });
  const masked = text.inputNames.includes('attention_mask');
  const known = new Map<string, Float32Array>();

  async function embed(queries: readonly string[], templates: readonly string[]): Promise<void> {
    const atOnce = Math.max(1, Math.floor(textsAtOnce / templates.length));
    for (let first = 0; first < queries.length; first += atOnce) {
      const some = queries.slice(first, first + atOnce);
      const texts = some.flatMap((query) => templates.map((template) => inTemplate(query, template)));
      const { ids, mask } = tokenize(texts);
      const tensor = (data: BigInt64Array) => new runtime.Tensor('int64', data, [texts.length, queryLength]);
      const out = await text.run({ input_ids: tensor(ids), ...(masked && { attention_mask: tensor(mask) }) });
      const rows = out.text_embeds!.data as Float32Array;
      const width = rows.length / texts.length;
      for (const [i, query] of some.entries()) {
        const mean = new Float32Array(width);
        for (let t = 0; t < templates.length; t++)
          for (let d = 0; d < width; d++) mean[d]! += rows[(i * templates.length + t) * width + d]! / templates.length;
        known.set(query, mean);
      }
    }
  }

  return {
    sessions: [text, image],
    async run(pixels, queries, templates) {
      await embed(
        queries.filter((query) => !known.has(query)),
        templates,
      );
      const width = known.get(queries[0]!)!.length;
      const embeds = new Float32Array(queries.length * width);
      for (const [i, query] of queries.entries()) {
        const own = known.get(query)!;
        embeds.set(own, i * width);
        // Those used last are at the end.
        known.delete(query);
        known.set(query, own);
      }
      for (const query of known.keys()) {
        if (known.size <= queriesKept) break;
        known.delete(query);
      }
      const query_embeds = new runtime.Tensor('float32', embeds, [queries.length, width]);
      const out = await image.run({ pixel_values: pixels, query_embeds });
      return { logits: out.logits!.data as Float32Array, boxes: out.pred_boxes!.data as Float32Array };
    },
  };
}
