import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { keptBoxes } from '../../src/annotation/boxes.ts';
import { openDetector } from '../../src/annotation/detector.ts';
import { bestTemplates } from '../../src/annotation/queries.ts';
import { queryTokenizer } from '../../src/annotation/query-tokens.ts';
import { expectations, fixture, queries, sizes, worst } from './expected.ts';

const folder = mkdtempSync(join(tmpdir(), 'detectors-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of a detector with some files less, or with other texts. */
function copyOf(kind: string, name: string, changes: Record<string, string | null>): string {
  const copy = join(folder, name);
  cpSync(fixture(kind), copy, { recursive: true });
  for (const [file, text] of Object.entries(changes)) {
    if (text === null) rmSync(join(copy, file));
    else writeFileSync(join(copy, file), text);
  }
  return copy;
}
const wholeOf = (kind: string) =>
  copyOf(kind, `${kind}-whole-${Math.random()}`, { 'text_model.onnx': null, 'image_model.onnx': null });

const loaded = () => readFileSync('/proc/self/maps', 'utf8').includes('onnxruntime');

describe.runIf(existsSync('/proc/self/maps'))('the native code of ONNX Runtime', () => {
  it('comes in with a detector, and not with the commands and activities', async () => {
    await Promise.all([import('../../src/program.ts'), import('../../activities/index.ts')]);
    expect(loaded()).toBe(false);
    await (await openDetector(fixture('owlv2'), 'it')).close();
    expect(loaded()).toBe(true);
  });
});

describe('a detector', () => {
  it('has the tokens of queries that its processor makes', async () => {
    const { ints } = await expectations();
    const read = (name: string) => JSON.parse(readFileSync(fixture(`owlv2/${name}`), 'utf8')) as object;
    const { ids, mask } = queryTokenizer(read('tokenizer.json'), read('tokenizer_config.json'))(queries);
    expect(Array.from(ids, Number)).toEqual([...(await ints('owlv2.input_ids'))]);
    expect(Array.from(mask, Number)).toEqual([...(await ints('owlv2.attention_mask'))]);
  });

  it.each(['owlv2', 'owlvit'])('of the kind %s says what PyTorch says, whole and in halves', async (kind) => {
    const { floats, ints, picture } = await expectations();
    const asked = queries.slice(0, 2);
    for (const place of [wholeOf(kind), fixture(kind)]) {
      const detector = await openDetector(place, kind);
      for (const size of sizes) {
        const image = await picture(size);
        const found = await detector.propose(image, asked, ['{}']);
        const all = await floats(`${kind}.${size}.logits`);
        const logits = Array.from({ length: 72 }, (_, i) => all[(i >> 1) * 4 + (i & 1)]!);
        expect(found.count).toEqual({ boxes: 36, queries: 2 });
        expect(worst(found.logits, logits)).toBeLessThan(5e-4);
        // Of the four queries it knows the best, and where the boxes lie in the picture.
        const four = { ...found, logits: all, count: { boxes: 36, queries: 4 } };
        const rules = { imageThreshold: 0, boxThreshold: 0, nms: 1, mostBoxes: 1000 };
        const { kept } = keptBoxes(four, rules, { from: 4, scale: 1 });
        const [boxes, scores, labels] = [
          await floats(`${kind}.${size}.boxes`),
          await floats(`${kind}.${size}.scores`),
          await ints(`${kind}.${size}.labels`),
        ];
        const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
        const inside = order.flatMap((i) => {
          const [left, top, right, bottom] = boxes.subarray(4 * i, 4 * i + 4);
          const clip = (place: number, side: number) => Math.min(1, Math.max(0, place / side));
          const box = [
            clip(top!, image.height),
            clip(left!, image.width),
            clip(bottom!, image.height),
            clip(right!, image.width),
          ];
          return box[2]! - box[0]! > 1e-4 && box[3]! - box[1]! > 1e-4
            ? [{ box, query: labels[i]!, score: scores[i]! }]
            : [];
        });
        expect(kept.length).toBe(inside.length);
        expect(
          worst(
            kept.flatMap(({ box }) => box),
            inside.flatMap(({ box }) => box),
          ),
        ).toBeLessThan(2e-4);
        expect(
          worst(
            kept.map(({ score }) => score),
            inside.map(({ score }) => score),
          ),
        ).toBeLessThan(1e-5);
        expect(kept.map(({ query }) => query)).toEqual(inside.map(({ query }) => query));
      }
      await detector.close();
    }
  });

  it('takes the mean of the logits over templates, which in halves is the mean of the embeddings', async () => {
    const image = await (await expectations()).picture('100x70');
    const [whole, half] = [await openDetector(wholeOf('owlv2'), 'w'), await openDetector(fixture('owlv2'), 'h')];
    const asked = ['red square', 'dog'];
    const found = await whole.propose(image, asked, bestTemplates);
    const each = await Promise.all(bestTemplates.map((template) => whole.propose(image, asked, [template])));
    const mean = found.logits.map((_, i) => each.reduce((sum, { logits }) => sum + logits[i]!, 0) / each.length);
    expect(worst(found.logits, mean)).toBeLessThan(1e-5);
    expect(worst(each[0]!.logits, each[1]!.logits)).toBeGreaterThan(0.01);
    expect(worst((await half.propose(image, asked, bestTemplates)).logits, mean)).toBeLessThan(5e-4);
    // Queries that it has met are not embedded again, and say the same in another order.
    const again = await half.propose(image, ['dog', 'white', 'red square'], bestTemplates);
    expect(
      worst(
        again.logits.filter((_, i) => i % 3 === 0),
        mean.filter((_, i) => i % 2 === 1),
      ),
    ).toBeLessThan(5e-4);
  });

  it.each([
    ['no graph', { 'model.onnx': null, 'text_model.onnx': null }, 'detector it: it has no model.onnx'],
    [
      'a graph that is none',
      { 'text_model.onnx': 'version https://git-lfs' },
      /^detector it: text_model.onnx can't be opened: .+/,
    ],
    [
      'settings of another size',
      { 'preprocessor_config.json': '{"image_processor_type":"Owlv2","size":64}' },
      'detector it: image_model.onnx takes pictures of 48 x 48, and preprocessor_config.json says 64 x 64',
    ],
    [
      'settings that are no JSON',
      { 'preprocessor_config.json': '{' },
      'detector it: preprocessor_config.json: it is not JSON',
    ],
    ['a tokenizer that is none', { 'tokenizer.json': '{}' }, /^detector it: tokenizer.json: .+/],
  ])('with %s is refused in a sentence', async (what, changes, message) => {
    const broken = openDetector(copyOf('owlv2', what, changes), 'it');
    await expect(broken).rejects.toMatchObject({ code: 'DataContract' });
    await expect(broken).rejects.toThrow(message);
  });

  it('that is another model is told what it takes and what is needed', async () => {
    const copy = copyOf('owlv2', 'other', { 'text_model.onnx': null });
    cpSync(join(copy, 'image_model.onnx'), join(copy, 'model.onnx'));
    await expect(openDetector(copy, 'it')).rejects.toThrow(
      'detector it: model.onnx has no input_ids: it takes pixel_values, query_embeds and gives logits, pred_boxes; needed is OWL-ViT or OWLv2 as optimum or export_detector.py writes it',
    );
  });
});
