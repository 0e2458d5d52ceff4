import { CorruptExample } from '../data/example/corrupt-example.ts';
import { parseRegions } from '../data/example/regions.ts';
import { textOf } from '../data/example/text-of.ts';
import { isRecord } from '../runtime/json-text.ts';
import { captionsOf, hasText, joinCaptions } from './captions.ts';
import { negativesOf } from './negatives.ts';
import { pictureKey } from './places.ts';
import type { Captions, Columns, Item, PackedMeta } from './types.ts';

export interface RowPlace {
  /** Of the row, in reports. */
  readonly name: string;
  /** Folder that names of pictures begin at. */
  readonly folder: string;
  readonly bucket: string;
  readonly language: string;
}

/** A row with the picture of it that the table itself holds, where it does. */
export type RowItem = Item & { readonly picture?: Uint8Array };

/** What a row of a table says; whatever is wrong with it is its fault and never an error. */
export function rowItem(row: Readonly<Record<string, unknown>>, columns: Columns, at: RowPlace): RowItem {
  try {
    const image = imageOf(row[columns.image], at);
    const meta = metaOf(row, columns, at, image.name ?? at.name);
    return 'picture' in image
      ? { name: at.name, picture: image.picture, meta }
      : { name: at.name, key: image.key, meta };
  } catch (error) {
    if (error instanceof CorruptExample) return { name: at.name, fault: error.message };
    throw error;
  }
}

type Image = { readonly name?: string } & ({ readonly picture: Uint8Array } | { readonly key: string });

/** A file name, bytes, or Hugging Face's {bytes, path}. */
function imageOf(value: unknown, { folder, bucket }: Pick<RowPlace, 'folder' | 'bucket'>): Image {
  if (value instanceof Uint8Array) return { picture: value };
  if (isRecord(value) && ('bytes' in value || 'path' in value)) {
    const { bytes, path } = value;
    const name = typeof path === 'string' && path.trim() !== '' ? path : null;
    if (bytes instanceof Uint8Array && bytes.length > 0)
      return { picture: bytes, ...(name !== null && { name: shortName(name) }) };
    if (name !== null) return imageOf(name, { folder, bucket });
    throw new CorruptExample('the row has no picture');
  }
  const said = textOf(value, () => 'the name of the picture');
  if (said === undefined) throw new CorruptExample('the row names no picture');
  const found = pictureKey(said, folder, bucket);
  if ('fault' in found) throw new CorruptExample(found.fault);
  return { key: found.key, name: shortName(said) };
}

/** Keys of examples are shown, and never paths. */
const shortName = (name: string) => name.replaceAll('\\', '/').split('/').slice(-3).join('/').slice(-300);

function metaOf(
  row: Readonly<Record<string, unknown>>,
  columns: Columns,
  { language }: RowPlace,
  name: string,
): PackedMeta {
  let captions: Captions = {};
  for (const [column, own] of Object.entries(columns.captions))
    captions = joinCaptions(captions, captionsOf(row[column], own, column));
  const concept = columns.class === undefined ? undefined : classOf(row[columns.class], columns);
  // What has a class alone is called by it.
  if (!hasText(captions) && concept !== undefined && Object.keys(columns.captions).length === 0)
    captions = { [language]: [concept] };
  if (!hasText(captions)) throw new CorruptExample('the row has no text');
  const regions = parseRegions(row.regions ?? undefined);
  const source = textOf(row.source, () => 'source')?.slice(0, 60);
  const negatives = negativesOf(row.negatives);
  return {
    key: name,
    captions,
    ...(concept !== undefined && { concept }),
    ...(regions.length > 0 && { regions }),
    ...(source !== undefined && { source }),
    ...(negatives && { negatives }),
  };
}

function classOf(value: unknown, { class: column, classnames }: Columns): string | undefined {
  const said = textOf(typeof value === 'bigint' ? Number(value) : value, () => column!)?.trim();
  if (said === undefined || said === '') return undefined;
  if (!classnames || !/^\d+$/.test(said)) return said.slice(0, 512);
  const name = classnames[Number(said)];
  if (name === undefined) throw new CorruptExample(`the row has class ${said} of ${classnames.length}`);
  return name;
}
