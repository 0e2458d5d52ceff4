import { describe, expect, it } from 'vitest';
import { publishedOf, publishedTables } from '../../src/benchmarks/published.ts';

describe('published figures', () => {
  it('have a value, or null, for each column of their table, and no model twice', () => {
    expect(publishedTables()).toHaveLength(9);
    for (const { table, columns, rows } of publishedTables()) {
      const models = rows.map(({ model, resolution, patches }) => `${model} ${resolution} ${patches}`);
      expect(new Set(models).size, table).toBe(rows.length);
      expect(new Set(columns).size, table).toBe(columns.length);
      for (const { values } of rows) {
        expect(values, table).toHaveLength(columns.length);
        for (const value of values)
          expect(value === null || (value > 0 && value < 200), `${table}: ${value}`).toBe(true);
      }
    }
  });

  it('are found by data set and figure, with the size of the model; of what nobody printed there are none', () => {
    const coco = publishedOf('coco text_to_image.r1');
    expect(coco).toContainEqual({
      ...{ of: 'SigLIP 2 B/16 224', model: 'SigLIP 2 B/16', view: 'px-224' },
      value: 52.1,
      table: 'Table 1',
    });
    expect(coco).toContainEqual(
      expect.objectContaining({ of: 'SigLIP 2 NaFlex B/16 1024 patches', value: 52.9, table: 'Table 7' }),
    );
    expect(publishedOf('refcoco-val acc@0.5')).toContainEqual({
      ...{ of: 'SigLIP 2 L 256 patches', model: 'SigLIP 2 L', view: 'patches-256' },
      value: 86.04,
      table: 'Table 5',
    });
    expect(publishedOf('imagenet representation_bias')).toContainEqual({
      ...{ of: 'SigLIP L/16 256', model: 'SigLIP L/16', view: 'px-256' },
      value: 35.5,
      table: 'Table 9',
    });
    expect(publishedOf('nowhere acc1')).toEqual([]);
  });
});
