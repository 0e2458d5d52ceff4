import { readFileSync } from 'node:fs';
import type { Tensor } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Signature } from '../../src/compile/definition.ts';
import { compile } from '../../src/compile/program.ts';
import { decoder } from '../../src/model/decoder.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { captioning } from '../../src/objectives/captioning.ts';
import type { Features } from '../../src/objectives/objective.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import { distance, type Fixture, openFixture } from './reference.ts';

/** Numbers of big_vision's decoder, loss and parallel prediction, and of jax's autograd: see make_big_vision_fixtures.py. */
const facts = JSON.parse(readFileSync(new URL('fixtures/cappa.json', import.meta.url), 'utf8')) as {
  readonly model: ModelConfig;
  readonly depth: number;
  readonly batch: number;
  /** Of the caption, of a region by its description, and of its description by the region. */
  readonly losses: readonly number[];
};
const { model, depth, batch, losses } = facts;
const settings = { weight: 1, depth, chunk: 8 };
const specs = captioning.parameters(settings, model);
const names = specs.map(({ name }) => name);
let fixture: Fixture;
let found: Readonly<Record<string, ArrayLike<number>>>;

beforeAll(async () => {
  fixture = await openFixture('cappa.safetensors');
  const shape = (name: string, dtype: 'float32' | 'int32') => ({ shape: fixture.shape(name), dtype });
  const feeds = {
    encoded: shape('encoded', 'float32'),
    targets: shape('targets', 'int32'),
    targetWeights: shape('targetWeights', 'float32'),
    parallel: shape('parallel', 'int32'),
  };
  const loss: Signature = {
    feeds,
    run(state, feeds) {
      const encoded = feeds.encoded!;
      const { value, gradients, aside } = differentiate([...names, 'encoded'], { ...state, encoded }, (p) => {
        const features = { image: { encoded: p.encoded } } as unknown as Features;
        const hidden = decoder(p, model, settings, feeds.targets!, feeds.parallel!, { encoded: p.encoded! }, batch);
        const logits = hidden.matMul(p['decoder.lm_head.weight']!, false, true).add(p['decoder.lm_head.bias']!);
        const inputs = { settings, model, tower: {}, p, teacher: {}, state: {}, feeds, features };
        return { value: captioning.loss(inputs).loss as Tensor, aside: { logits } };
      });
      return { outputs: { loss: value, logits: aside.logits!, ...gradients } };
    },
  };
  const state = Object.fromEntries(specs.map(({ name, shape }) => [name, { shape, dtype: 'float32' as const }]));
  const program = compile({ state, signatures: { loss } });
  program.write(Object.fromEntries(names.map((name) => [name, fixture.floats(`parameters/${name}`)])));
  found = program.run('loss', {
    encoded: fixture.floats('encoded'),
    targets: fixture.ints('targets'),
    targetWeights: fixture.floats('targetWeights'),
    parallel: fixture.ints('parallel'),
  });
  program.dispose();
});

describe('the compiled decoder against that of big_vision', () => {
  it('has the same parameters, by shape', () => {
    const stored = fixture.names.filter((name) => name.startsWith('parameters/'));
    expect(stored.map((name) => name.slice('parameters/'.length)).sort()).toEqual([...names].sort());
    for (const { name, shape } of specs) expect(fixture.shape(`parameters/${name}`), name).toEqual(shape);
  });

  it('says the same of every token, in rows that are told one after another and in rows that are told at once', () => {
    const parallel = [...fixture.ints('parallel')];
    expect(new Set(parallel)).toEqual(new Set([0, 1]));
    expect(distance(found.logits!, fixture.floats('logits'))).toBeLessThan(2e-6);
  });

  it('has the sum of the losses of the three texts, some of which are shorter, begin with what is given, or are missing', () => {
    expect([...fixture.floats('targetWeights')].filter((weight) => weight === 0).length).toBeGreaterThan(20);
    const sum = losses.reduce((a, b) => a + b);
    expect(Math.abs(found.loss![0]! / sum - 1)).toBeLessThan(5e-7);
  });

  it.each(['encoded', ...names])('has the gradient of %s', (name) => {
    expect(distance(found[name]!, fixture.floats(`gradients/${name}`))).toBeLessThan(5e-6);
  });
});
