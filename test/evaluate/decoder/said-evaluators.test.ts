import { describe, expect, it } from 'vitest';
import { boxText } from '../../../src/data/example/regions.ts';
import { boxIn, givenFor } from '../../../src/evaluate/decoder/asking.ts';
import { usualAnswer } from '../../../src/evaluate/decoder/lesson.ts';
import { captioning } from '../../../src/evaluate/evaluators/captioning.ts';
import type { EvaluatorInput, Figures } from '../../../src/evaluate/evaluators/contract.ts';
import { grounded } from '../../../src/evaluate/evaluators/grounded.ts';
import { questionsWithoutRoom } from '../../../src/evaluate/evaluators/language-model.ts';
import { referring } from '../../../src/evaluate/evaluators/referring.ts';
import { FeatureSet } from '../../../src/evaluate/features/feature-set.ts';
import type { PartFile, Said } from '../../../src/evaluate/features/part-file.ts';
import { type Placed, placedThings, quarterModel } from './placed-things.ts';

const placed = placedThings(60, 21);

/** A set of pictures of which a decoder said this; nothing of them is read but what examples say. */
function inputOf(says: (one: Placed, picture: number) => Said, without = 0): EvaluatorInput {
  const examples = placed.map((one, picture) => ({
    ...{
      shard: 'data/0.tar',
      name: `${picture}`,
      concepts: [],
      texts: one.texts,
      said: { 'px-32': says(one, picture) },
    },
    ...(picture >= without && { truth: one.truth }),
  }));
  const part = { facts: { spec: '', part: 0, examples, skipped: [] } } as unknown as PartFile;
  const test = new FeatureSet([part], quarterModel);
  const rest = { train: null, classes: null, languages: ['en', 'de'], seed: 0, device: 'cpu' as const };
  return { view: 32, test, ...rest, pause: async () => {} };
}

const right = ({ truth, texts }: Placed): Said => ({
  captioning: `${texts.en![0]!.toUpperCase()}.`,
  referring: truth.regions!.map(boxText),
  grounded: truth.regions!.map(({ caption }) => caption),
});

describe('what a decoder says', () => {
  it('is worth all that there is where it is right', async () => {
    const input = inputOf(right);
    const { figures, outcomes, notes, shown } = await referring.evaluate(input, {});
    expect(shown).toHaveLength(8);
    for (const { boxes } of shown!) for (const { truth, found } of boxes) expect(found).toEqual(truth);
    expect(figures).toMatchObject({
      expressions: 120,
      pictures: 60,
      without_box: 0,
      IoU: 1,
      'acc@0.9': 1,
      center_acc: 1,
    });
    expect(outcomes['acc@0.5']!.values).toHaveLength(120);
    expect(notes).toEqual([]);
    expect((await grounded.evaluate(input, {})).figures).toMatchObject({ regions: 120, exact: 1, 'ROUGE-L': 1 });
    const said = await captioning.evaluate(input, {});
    const { en, de } = said.figures.by_language as Record<string, Figures>;
    expect(en).toMatchObject({ pictures: 60, left_out: 0, exact: 1, 'ROUGE-L': 1 });
    // Of three words there are no four in a row, a quarter of what CIDEr looks at.
    expect(en!.CIDEr).toBeGreaterThan(7.5 - 1e-9);
    expect(de).toEqual({ pictures: 0, left_out: 60 });
    expect(said.notes).toEqual(['60 of 60 pictures have no caption in de: left out']);
  });

  it('is worth chance where it is what is right of another picture', async () => {
    const input = inputOf((_, picture) => right(placed[(picture + 1) % placed.length]!));
    const { figures } = await referring.evaluate(input, {});
    // One of four quarters; three deviations of 120 throws.
    expect(Math.abs((figures['acc@0.5'] as number) - 0.25)).toBeLessThan(0.12);
    expect(Math.abs(((await grounded.evaluate(input, {})).figures.exact as number) - 0.25)).toBeLessThan(0.12);
    const { en } = (await captioning.evaluate(input, {})).figures.by_language as Record<string, Figures>;
    expect(en!.exact).toBeLessThan(0.25);
    expect(en!.CIDEr).toBeLessThan(4);
  });

  it('is a miss where it is no box, and pictures without regions are named', async () => {
    const others = ['', '0 0 250', '0 0 250 250 250', '0 0 600 250', '250 250 0 0', 'left of the dog', '0 0 1e2 250'];
    for (const text of others) expect(boxIn(text), text).toBeNull();
    expect(boxIn(' 0 125  250 500 ')).toEqual([0, 0.25, 0.5, 1]);
    const input = inputOf(
      (one, picture) => ({ ...right(one), referring: others.slice(picture % 7, (picture % 7) + 1).concat('') }),
      10,
    );
    const { figures, notes } = await referring.evaluate(input, {});
    expect(figures).toMatchObject({ expressions: 100, pictures: 50, without_box: 100, IoU: 0, 'acc@0.1': 0 });
    expect(notes).toEqual(['10 of 60 pictures have no regions: nothing was asked of them']);
    const short = inputOf(right);
    const text = { ...quarterModel.text, length: 22 };
    const test = new FeatureSet(short.test.parts, { ...quarterModel, text });
    // Two words more than the others, and the box of the last quarter, 250 250 500 500, has the most tokens.
    const hats = placed
      .flatMap(({ truth }) => truth.regions!)
      .filter(({ caption, box }) => caption === 'a green hat' && box[0] + box[1] === 1).length;
    expect(hats).toBeGreaterThan(2);
    const [room] = (await referring.evaluate({ ...short, test }, {})).notes;
    expect(room).toBe(`${hats} of 120 expressions leave no room for their box in the 22 tokens of a text`);
  });

  it('has no room where a question fills its text, which is said', () => {
    const question = (words: number) => ({ question: 'cat '.repeat(words).trim(), answers: ['no'] });
    const examples = [{ shard: 's', name: 'n', concepts: [], truth: { questions: [question(1), question(40)] } }];
    expect(questionsWithoutRoom({ examples }, 24)).toEqual([
      '1 of 2 questions leave no room for an answer in the 24 tokens of a text',
    ]);
    expect(questionsWithoutRoom({ examples }, 64)).toEqual([]);
  });

  it('begins with the words that training has before it, and is learned as most people say it', () => {
    const region = { caption: 'the cat', box: [0, 0.25, 0.5, 1] as const };
    expect(givenFor('captioning')).toBe('Cap:');
    expect(givenFor('referring', region)).toBe('ARef : the cat :');
    expect(givenFor('grounded', region)).toBe('GCap: 0 125 250 500 :');
    expect(usualAnswer({ question: '?', answers: ['no', 'yes', 'yes', 'no', 'maybe'] })).toBe('no');
  });
});
