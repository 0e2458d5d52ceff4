import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../src/compile/build.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { compileProblem, mostNodes } from '../../src/train/compiles.ts';
import { graphNodes } from '../../src/train/graph-size.ts';
import { stepDefinition } from '../../src/train/step.ts';
import { planSettings } from '../bench/plan-shapes.ts';
import { peakSettings } from './peak-shapes.ts';

const data = { train: 'train', examples: 1e6, vocabulary: Array.from({ length: 500 }, (_, id) => id) };
const { settings: emoji } = planSettings('emoji', data);
const { settings: naflex } = planSettings('naflex', data);
const all = peakSettings('all');
const batchOf = (settings: PhaseSettings, batch: number) => ({ ...settings, batches: { ...settings.batches, batch } });

/** The graph of a step: its nodes, and the bytes of its constants. */
function built(settings: PhaseSettings): { nodes: number; constants: number } {
  const { nodes } = buildGraph(stepDefinition(settings), { precision: settings.precision ?? 'f32' }).graph;
  const bytes = nodes.map(({ attrs: { value } }) => (value && 'tensor' in value ? value.tensor.content.length : 0));
  return { nodes: nodes.length, constants: bytes.reduce((a, b) => a + b, 0) };
}

describe('the graph of a step', () => {
  it('has as many nodes as are counted, whatever the batch, and no constant that grows with it', () => {
    const [small, large] = [built(batchOf(emoji, 64)), built(batchOf(emoji, 1024))];
    expect(graphNodes(emoji) / large.nodes).toBeGreaterThan(0.85);
    expect(graphNodes(emoji) / large.nodes).toBeLessThan(1.15);
    // What is too small to be fused stands by itself.
    expect(large.nodes).toBeLessThan(1.05 * small.nodes);
    expect(large.constants).toBeLessThan(small.constants + 64);
  });

  const banked = batchOf({ ...emoji, objectives: { sigmoid: { weight: 1, bank: { replicas: 4, rows: 1024 } } } }, 8192);
  const others = {
    'every objective, in micro-batches': { ...all, accumulate: 4 },
    'three lengths of NaFlex': naflex,
    'a bank of texts, in tiles': banked,
  };

  it.each(Object.keys(others) as (keyof typeof others)[])('is counted with %s, and has no large constant', (name) => {
    const settings = others[name];
    const { nodes, constants } = built(settings);
    expect(graphNodes(settings) / nodes).toBeGreaterThan(0.85);
    expect(graphNodes(settings) / nodes).toBeLessThan(1.15);
    expect(constants).toBeLessThan(100_000);
  });
});

describe('a step that can not be compiled', () => {
  it('is refused for what grows with the batch, with changes that help', () => {
    const large = batchOf(all, 1_048_576);
    const problem = compileProblem(large)!;
    // Pictures of 64 pixels and views of 24: a batch is more than an array holds.
    expect(problem).toMatch(/^phase phase would feed a step an array of 12\.9 GB .*"accumulate": \d+ would do$/);
    const captioned = {
      ...batchOf(all, 65_536),
      objectives: { captioning: { ...all.objectives.captioning!, chunk: 8 } },
    };
    const chunks = compileProblem(captioned)!;
    expect(graphNodes(captioned)).toBeGreaterThan(mostNodes);
    expect(chunks).toMatch(/^phase phase would need a graph of about [\d,]+ nodes \(at most 250,000\), mostly chunks/);
    const [, accumulate] = /"accumulate": (\d+)/.exec(chunks)!;
    expect(compileProblem({ ...captioned, accumulate: Number(accumulate) })).toBe(null);
    const [, chunk] = /"chunk": (\d+) of captioning/.exec(chunks)!;
    const longer = { ...captioned.objectives.captioning, chunk: Number(chunk) };
    expect(compileProblem({ ...captioned, objectives: { captioning: longer } })).toBe(null);
  });

  it('is refused for a table that no array holds', () => {
    const { text } = all.model;
    const wide = { ...all, model: { ...all.model, text: { ...text, vocabulary: 256_000, width: 8192 } } };
    expect(compileProblem(wide)).toMatch(
      /would train decoder\.embed_tokens\.weight of \[256001, 8192\], 8\.4 GB, and an array holds at most 4\.3 GB;/,
    );
  });

  it('is none of the paper', () => {
    const batch = planSettings('32k', data).settings;
    expect(compileProblem(batch)).toBe(null);
    expect(graphNodes(batch)).toBeLessThan(15_000);
  });
});
