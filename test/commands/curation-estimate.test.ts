import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { curationEstimate } from '../../src/commands/curation-estimate.ts';
import { superBatch } from '../../src/recipe/curation.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';

const written = JSON.parse(readFileSync(new URL('../../infra/recipes/emoji-acid.json', import.meta.url), 'utf8'));

function estimateOf(change: object, examples = 12_800) {
  const phases = written.phases.map((phase: { curation?: object }) =>
    phase.curation ? { ...phase, curation: { ...phase.curation, ...change } } : phase,
  );
  const recipe = parseRecipe({ ...written, phases });
  const acid = recipe.phases.find(({ curation }) => curation)!;
  const facts = { examples: 1000, vocabulary: null };
  return { estimate: curationEstimate(recipe, acid, facts, examples)!, acid, recipe };
}

/** The vision tower of width w: patches embedded, blocks, MAP head with its one query; counted by hand. */
function visionByHand(w: number, depth: number, mlp: number, patch: number, patches: number): number {
  const block = patches * (4 * 2 * w * w + 2 * 2 * patches * w + 2 * 2 * w * mlp);
  // Keys and values of each patch, query and result of the probe; the query is the same for a whole batch.
  const head = 2 * w * w * (2 * patches + 1 + 1) + 2 * 2 * patches * w + 2 * 2 * w * mlp;
  return patches * 2 * 3 * patch ** 2 * w + depth * block + head;
}
const textByHand = (w: number, depth: number, mlp: number, length: number, out: number) =>
  depth * length * (4 * 2 * w * w + 2 * 2 * length * w + 2 * 2 * w * mlp) + 2 * w * out;

describe('what curation takes', () => {
  it('is one pass of the teacher over the data, and of the learner over the candidates', () => {
    const { estimate } = estimateOf({ dtype: 'bf16' });
    expect(estimate.candidatesPerExample).toBe(2);
    const teacher = visionByHand(128, 4, 512, 8, 16) + textByHand(128, 2, 512, 12, 128);
    expect(estimate.scoringFlops).toBeCloseTo(1000 * teacher, -3);
    // Image and one text of 128 numbers, two bytes each.
    expect(estimate.storedBytes).toBe(1000 * 2 * 128 * 2);
    const learner = visionByHand(64, 2, 256, 8, 16) + textByHand(64, 1, 256, 12, 64);
    // 16 chunks of 8 from 256: all but the last against what is then open, both ways, for two models.
    let pairs = 0;
    for (let open = 248, chunk = 0; chunk < 15; chunk++, open -= 8) pairs += 8 * open;
    expect(estimate.choosingFlops).toBeCloseTo(12_800 * 2 * learner + 100 * 2 * 2 * 2 * pairs * 64, -3);
  });

  it('has the teacher look at every candidate, and stores nothing, when it scores online', () => {
    const stored = estimateOf({}).estimate;
    const online = estimateOf({ scoring: 'online' }).estimate;
    expect(online.storedBytes).toBe(0);
    expect(online.scoringFlops! / stored.scoringFlops!).toBeCloseTo((2 * 12_800) / 1000, 6);
    expect(estimateOf({ scores: 'hardLearner' }).estimate).toMatchObject({ scoringFlops: 0, storedBytes: 0 });
  });

  it('is not known for a teacher of another run', () => {
    const { estimate } = estimateOf({ teacher: { run: 'large', phase: 'curated' } });
    expect(estimate).toMatchObject({ scoringFlops: null, storedBytes: null, candidatesPerExample: 2 });
  });
});

it('the paper trains B/16 on half and B/32 on a quarter of its super-batches', () => {
  expect(superBatch({ filterRatio: 0.5 }, 32_768)).toBe(65_536);
  expect(superBatch({ filterRatio: 0.75 }, 32_768)).toBe(131_072);
});
