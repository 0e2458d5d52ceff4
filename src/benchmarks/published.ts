import { readFileSync } from 'node:fs';

/** Figures that a paper prints, by model and size. */
export interface PublishedTable {
  readonly table: string;
  /** Each a data set and a figure, such as `coco text_to_image.r1`. */
  readonly columns: readonly string[];
  readonly note?: string;
  readonly rows: readonly PublishedRow[];
}

export interface PublishedRow {
  readonly model: string;
  readonly resolution?: number;
  /** Of a NaFlex model, or of a decoder that looks at them. */
  readonly patches?: number;
  /** Null where the paper has none, or it could not be read. */
  readonly values: readonly (number | null)[];
}

export interface PublishedFigure {
  /** The model and its size. */
  readonly of: string;
  readonly model: string;
  /** As results name sizes: px-224, patches-256; null where the table has none. */
  readonly view: string | null;
  readonly value: number;
  readonly table: string;
}

let tables: readonly PublishedTable[] | null = null;

/** The tables of the SigLIP 2 paper that are in `published.json`; in percent where a table does not say otherwise. */
export function publishedTables(): readonly PublishedTable[] {
  const file = new URL('published.json', import.meta.url);
  tables ??= (JSON.parse(readFileSync(file, 'utf8')) as { readonly tables: readonly PublishedTable[] }).tables;
  return tables;
}

/** All that is published of a column, to be printed beside a figure of ours. */
export function publishedOf(column: string): readonly PublishedFigure[] {
  return publishedTables().flatMap(({ table, columns, rows }) => {
    const at = columns.indexOf(column);
    return rows.flatMap(({ model, resolution, patches, values }) => {
      const value = at < 0 ? null : (values[at] ?? null);
      const size = resolution !== undefined ? ` ${resolution}` : patches !== undefined ? ` ${patches} patches` : '';
      const view = resolution !== undefined ? `px-${resolution}` : patches !== undefined ? `patches-${patches}` : null;
      return value === null ? [] : [{ of: `${model}${size}`, model, view, value, table }];
    });
  });
}
