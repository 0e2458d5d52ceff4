import type { DetectionSettings, Frequency } from '../metrics/detection.ts';
import type { TrueBox } from '../metrics/detection-match.ts';
import { RunnerError } from '../runtime/errors.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Category, Example, Fault } from './benchmark.ts';
import { type Files, isSafe } from './files.ts';
import { boxIn, entries } from './json-entries.ts';

/** Boxes of a data set, and how its figures are counted. */
export interface DetectionBenchmark extends Benchmark {
  /** What Detection of src/metrics takes. */
  readonly settings: DetectionSettings;
  readonly categories: ReadonlyMap<number, Category>;
}

interface Picture {
  readonly number: number;
  readonly file: string | null;
  readonly negative: readonly number[];
  readonly notExhaustive: readonly number[];
}

/**
 * COCO's `instances_val2017.json` or LVIS's `lvis_v1_val.json`, which says of categories how frequent they are, and of pictures
 * which categories were looked for. Pictures come by rising number, as the tools rank equal scores. Boxes are held: 36,781 of
 * COCO's 5,000 pictures, 244,707 of LVIS's 20,000; masks are passed over. The file is read three
 * times: 150,000 boxes in 107 MB take 2.1 s and 172 MB.
 */
export async function openDetection(files: Files, instances: string, pictures: string): Promise<DetectionBenchmark> {
  const notes: string[] = [];
  const names = new Map<number, string>();
  const frequencies = new Map<number, Frequency>();
  for await (const { id, name, frequency } of entries(files, instances, 'categories')) {
    if (typeof id !== 'number' || typeof name !== 'string') {
      notes.push(`category ${printable(String(id))} has no id or name, and its boxes can't be used`);
      continue;
    }
    names.set(id, name);
    if (frequency === 'r' || frequency === 'c' || frequency === 'f') frequencies.set(id, frequency);
  }
  const isLvis = frequencies.size > 0;
  if (isLvis && frequencies.size < names.size)
    throw new RunnerError(
      'DataContract',
      `${files.where}/${instances} says of ${frequencies.size} of ${names.size} categories how frequent they are`,
    );
  const all: Picture[] = [];
  const nameless: Fault[] = [];
  for await (const entry of entries(files, instances, 'images')) {
    const numbers = (field: string) =>
      Array.isArray(entry[field]) ? entry[field].filter((one): one is number => typeof one === 'number') : [];
    if (typeof entry.id !== 'number') {
      nameless.push({ name: printable(String(entry.file_name)), fault: 'it has no id' });
      continue;
    }
    all.push({
      number: entry.id,
      file: fileOf(entry),
      negative: numbers('neg_category_ids'),
      notExhaustive: numbers('not_exhaustive_category_ids'),
    });
  }
  all.sort((a, b) => a.number - b.number);
  const { boxes, faults } = await boxesOf(files, instances, names);
  return {
    classes: [...names.values()],
    templates: null,
    notes,
    categories: new Map(
      [...names].map(([number, name]) => {
        const frequency = frequencies.get(number);
        return [number, { name, ...(frequency && { frequency }) }];
      }),
    ),
    settings: isLvis ? { rules: 'lvis', categories: frequencies } : { rules: 'coco', categories: [...names.keys()] },
    async *examples() {
      yield* nameless;
      yield* faults;
      for (const one of all) yield exampleOf(one);
    },
  };

  function exampleOf({ number, file, negative, notExhaustive }: Picture): Example | Fault {
    const name = String(number);
    if (file === null) return { name, fault: 'it has no file_name within the data set, and no coco_url' };
    const truths = boxes.get(number) ?? [];
    const at = pictures === '' ? file : `${pictures}/${file}`;
    return { name, picture: { file: at }, truths, ...(isLvis && { negative, notExhaustive }) };
  }
}

/** LVIS names the folder and file at the end of an address: its pictures are of COCO's train and val. */
function fileOf({ file_name, coco_url }: Record<string, unknown>): string | null {
  if (typeof file_name === 'string') return isSafe(file_name) ? file_name : null;
  const found = typeof coco_url === 'string' ? /\/([\w-]+\/[\w.-]+)$/.exec(coco_url) : null;
  return found && isSafe(found[1]!) ? found[1]! : null;
}

async function boxesOf(files: Files, instances: string, names: ReadonlyMap<number, string>) {
  const boxes = new Map<number, TrueBox[]>();
  const faults: Fault[] = [];
  for await (const { id, image_id, category_id, bbox, area, iscrowd } of entries(files, instances, 'annotations')) {
    const fault = (reason: string) => faults.push({ name: `annotation ${printable(String(id))}`, fault: reason });
    const box = boxIn(bbox);
    if (typeof image_id !== 'number') fault('it has no image_id');
    else if (typeof category_id !== 'number' || !names.has(category_id))
      fault('its category_id is none of the categories');
    else if (!box) fault('its bbox has no area');
    else {
      const known = typeof area === 'number' && Number.isFinite(area) ? area : box[2] * box[3];
      const one = { category: category_id, box, area: known, ...(iscrowd === 1 && { crowd: true }) };
      const own = boxes.get(image_id);
      if (own) own.push(one);
      else boxes.set(image_id, [one]);
    }
  }
  return { boxes, faults };
}
