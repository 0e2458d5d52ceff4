import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allImports, arrowProblem, importsOf, mayImport, wrongArrows } from '../infra/lint/arrows.ts';

describe('arrows between folders point one way', () => {
  it('in the whole project', () => {
    expect(wrongArrows()).toEqual([]);
    expect(allImports().length).toBeGreaterThan(200);
  });

  it('in the table: each room names only rooms that stand before it, so no two import one another', () => {
    const rooms = Object.keys(mayImport).filter((room) => /^src\/(?!commands)/.test(room));
    const late = rooms.flatMap((room, i) =>
      mayImport[room]!.filter((named) => !rooms.slice(0, i).includes(named)).map((named) => `${room} > ${named}`),
    );
    expect(late).toEqual([]);
  });

  it('and no two files import one another', () => {
    const imports = new Map(
      allImports().map(({ file, specifiers }) => [file, specifiers.map((specifier) => join(dirname(file), specifier))]),
    );
    const circles = [...imports].flatMap(([file, targets]) =>
      targets.filter((target) => file < target && imports.get(target)?.includes(file)).map((target) => [file, target]),
    );
    expect(circles).toEqual([]);
  });

  it.each([
    ['workflows/x.ts', '../src/storage/s3.ts'],
    ['workflows/x.ts', '../activities/plan.ts'],
    ['activities/x.ts', '../workflows/phase.ts'],
    ['activities/x.ts', '../src/worker.ts'],
    ['infra/services/x.ts', '../../src/cli.ts'],
    ['src/recipe/x.ts', '../storage/s3.ts'],
    ['src/curation/x.ts', '../train/step.ts'],
    ['src/model/x.ts', '../train/step.ts'],
    ['src/data/batches/x.ts', '../../model/sizes.ts'],
    ['src/data/index/x.ts', '../example/decode.ts'],
    ['src/data/example/x.ts', '../batches/order.ts'],
    ['src/storage/x.ts', '../checkpoint/types.ts'],
    ['src/checkpoint/hugging-face/x.ts', '../../train/step.ts'],
    ['src/train/x.ts', '../storage/s3.ts'],
    ['src/train/x.ts', '../trainer/protocol.ts'],
    ['src/trainer/x.ts', '../storage/s3.ts'],
    ['src/evaluate/x.ts', '../../activities/plan.ts'],
    ['src/evaluate/x.ts', '../../infra/setup/pins.ts'],
    ['src/runtime/x.ts', '../data/index/types.ts'],
  ])('refuses in %s an import of %s', (file, specifier) => {
    expect(arrowProblem(file, specifier)).toMatch(new RegExp(`^${file} imports `));
  });

  it.each([
    ['workflows/x.ts', '../src/recipe/shards.ts'],
    ['src/evaluate/x.ts', './labels.ts'],
    ['src/train/x.ts', '../model/sizes.ts'],
    ['src/worker.ts', '../infra/setup/device.ts'],
    ['infra/services/x.ts', './worker.ts'],
  ])('allows in %s an import of %s', (file, specifier) => {
    expect(arrowProblem(file, specifier)).toBe(null);
  });

  it('looks at types and at imports while it runs, not at comments', () => {
    const source = `import type { A } from '../a.ts';
/* import { B } from '../b.ts'; */
// import { C } from '../c.ts';
import './d.ts';
export { E } from './e.ts';
const f = await import('./f.ts');`;
    expect(importsOf(source)).toEqual(['../a.ts', './d.ts', './e.ts', './f.ts']);
  });
});
