import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Signature } from '../../src/compile/definition.ts';
import { compile, type Program } from '../../src/compile/program.ts';
import { dinoHeadSpecs } from '../../src/model/dino-head-parameters.ts';
import { distil } from '../../src/objectives/distillation.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import type { DistillationSettings } from '../../src/recipe/objective-settings.ts';
import { distance, type Fixture, openFixture } from './reference.ts';

type Witness = 'dino' | 'ibot';

/** Numbers of the heads, losses and centres of DINO and iBOT, and of torch's autograd: see make_distillation_fixtures.py. */
const facts = JSON.parse(readFileSync(new URL('fixtures/distillation.json', import.meta.url), 'utf8')) as {
  readonly width: number;
  readonly settings: Omit<DistillationSettings, 'weight'>;
  readonly losses: Readonly<Record<Witness, readonly number[]>>;
  /** Of the first step, with the GELU that DINO and iBOT have. */
  readonly erfLosses: Readonly<Record<Witness, number>>;
};
const { width } = facts;
const settings = { ...facts.settings, weight: 1 };
const specs = dinoHeadSpecs('head', width, settings);
const names = specs.map(({ name }) => name);
const own = (name: string) => name.slice('head.'.length);

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture('distillation.safetensors');
});

/** The loss of rows of a student (B S, D) and a teacher (B T, D), its gradients, and the centre, which is state. */
function program(witness: Witness, { images, said, taught }: { images: number; said: number; taught: number }) {
  const rows = (count: number) => ({ shape: [images * count, width], dtype: 'float32' as const });
  const masked = witness === 'ibot';
  const loss: Signature = {
    feeds: {
      student: rows(said),
      teacher: rows(taught),
      ...(masked && { targets: { shape: [images, said], dtype: 'int32' as const } }),
    },
    run(state, { student, teacher, targets }) {
      const at = { ...state, student: student! };
      const { value, gradients, aside } = differentiate([...names, 'student'], at, (p) => {
        const rows = { student_BSxD: p.student!, teacher_BTxD: teacher!, ...(targets && { targets_BS: targets }) };
        const whose = Object.fromEntries(names.map((name) => [name, state[`teacher/${name}`]!]));
        const given = { head: 'head', p, teacher: whose, center_K: state.center!, images, ...rows };
        const { loss, center_K } = distil(given, settings);
        return { value: loss, aside: { center: center_K } };
      });
      return { outputs: { loss: value, ...gradients }, state: { center: aside.center! } };
    },
  };
  const spec = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });
  const both = specs.flatMap(({ name, shape }) => [
    [name, spec(shape)],
    [`teacher/${name}`, spec(shape)],
  ]);
  const state = { ...Object.fromEntries(both), center: spec([settings.prototypes]) };
  const compiled = compile({ state, signatures: { loss } });
  compiled.write({
    ...Object.fromEntries(names.map((name) => [name, fixture.floats(`${witness}/parameters/${own(name)}`)])),
    ...Object.fromEntries(names.map((name) => [`teacher/${name}`, fixture.floats(`${witness}/teacher/${own(name)}`)])),
    center: new Float32Array(settings.prototypes),
  });
  return compiled;
}

const row = (all: ArrayLike<number>, at: number) => Array.from(all).slice(at * width, (at + 1) * width);

/** Loss, centre and, of the first step, gradients of the head. `feeds` are those of a step; the gradient of the rows is returned. */
function follow(witness: Witness, compiled: Program, feeds: (step: number) => Parameters<Program['run']>[1]) {
  let rows: ArrayLike<number> = [];
  for (const [step, loss] of facts.losses[witness].entries()) {
    const found = compiled.run('loss', feeds(step));
    expect(Math.abs(found.loss![0]! / loss - 1), `loss of step ${step + 1}`).toBeLessThan(2e-6);
    const center = compiled.read(['center']).center!;
    expect(distance(center, fixture.floats(`${witness}/${step}/center`)), `centre ${step + 1}`).toBeLessThan(2e-6);
    if (step > 0) continue;
    // The form of the GELU is less than a thousandth of the loss.
    expect(Math.abs(facts.erfLosses[witness] / loss - 1)).toBeLessThan(1e-3);
    expect(Math.abs(facts.erfLosses[witness] / loss - 1)).toBeGreaterThan(1e-5);
    rows = found.student!;
    for (const name of names) {
      const expected = fixture.floats(`${witness}/gradients/${own(name)}`);
      expect(distance(found[name]!, expected), `gradient of ${own(name)}`).toBeLessThan(1e-5);
    }
  }
  compiled.dispose();
  return rows;
}

describe('compiled self-distillation', () => {
  it('has losses, gradients and centres of DINO, where each teacher and each other view are a pair', () => {
    const [crops, batch] = fixture.shape('dino/0/student') as [number, number];
    const others = (view: number) => Array.from({ length: crops }, (_, i) => i).filter((i) => i !== view);
    // Where the rows of (global view, image, other view) are in DINO's (view, image).
    const from = [0, 1].flatMap((view) =>
      Array.from({ length: batch }, (_, image) => others(view).map((other) => other * batch + image)).flat(),
    );
    const compiled = program('dino', { images: 2 * batch, said: crops - 1, taught: 1 });
    const gradient = follow('dino', compiled, (step) => {
      const views = fixture.floats(`dino/${step}/student`);
      return {
        student: Float32Array.from(from.flatMap((at) => row(views, at))),
        teacher: fixture.floats(`dino/${step}/teacher`),
      };
    });
    // A global view of the student is in one pair, and a local one in two.
    const sums = new Float32Array(crops * batch * width);
    for (const [i, at] of from.entries()) for (const [d, x] of row(gradient, i).entries()) sums[at * width + d]! += x;
    expect(distance(sums, fixture.floats('dino/gradients/student'))).toBeLessThan(1e-5);
  });

  it('has losses, gradients and centres of patches of iBOT', () => {
    const [images, patches] = fixture.shape('ibot/0/student') as [number, number];
    const said = fixture.shape('ibot/0/masked')[1]!;
    const compiled = program('ibot', { images, said, taught: patches });
    const rowsOf = (step: number) =>
      Array.from(fixture.ints(`ibot/${step}/masked`), (patch, i) => Math.floor(i / said) * patches + patch);
    const gradient = follow('ibot', compiled, (step) => {
      const all = fixture.floats(`ibot/${step}/student`);
      return {
        student: Float32Array.from(rowsOf(step).flatMap((at) => row(all, at))),
        teacher: fixture.floats(`ibot/${step}/teacher`),
        targets: fixture.ints(`ibot/${step}/masked`),
      };
    });
    // What is not masked gets no gradient in iBOT, and is no row here.
    const whole = new Float32Array(images * patches * width);
    for (const [i, at] of rowsOf(0).entries()) whole.set(row(gradient, i), at * width);
    expect(distance(whole, fixture.floats('ibot/gradients/student'))).toBeLessThan(1e-5);
  });
});
