import { readJsonText } from '../../runtime/json-text.ts';
import { isImage, joinMembers, splitName } from '../index/members.ts';
import type { ShardMembers } from '../index/read-shard.ts';
import type { ByteRange, ExampleEntry, Mapping } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { checkSizes, readMeta } from './example.ts';
import { captionField } from './mapped.ts';

/** A shard, by which all are guessed. */
export interface FirstShard extends ShardMembers {
  readonly key: string;
  readonly bytesOf: (range: ByteRange) => Promise<Buffer>;
  /** Of a `classnames.txt` beside the shards, or above them. */
  readonly classnames: readonly string[] | null;
}

/** Examples that each mapping is tried with, the first ones: they lie together. */
const tried = 64;

/** The mapping that reads most examples; undefined: the JSON of this project. Null where nothing reads any. */
export async function guessMapping(shard: FirstShard): Promise<{ readonly read: Mapping | undefined } | null> {
  let best: { read: Mapping | undefined; score: Score } | null = null;
  for (const read of candidates(shard)) {
    const score = await scoreOf(shard, read);
    if (score.read > 0 && (best === null || isBetter(score, best.score))) best = { read, score };
  }
  if (!best?.read) return best;
  const { captions } = best.read;
  const read = captions === 'json' ? { ...best.read, ...(await fieldIn(shard, best.read)) } : best.read;
  // A class beside captions is for evaluation: it must not cost examples.
  const withClass: Mapping = { ...read, class: 'cls', ...namesOf(shard) };
  const { read: both } = captions === 'class' ? { read: 0 } : await scoreOf(shard, withClass);
  return { read: both >= best.score.read ? withClass : read };
}

interface Score {
  /** Share of the examples that can be read. */
  readonly read: number;
  /** Texts that they have. */
  readonly texts: number;
}

/** Of equal ones the first stays: what needs no mapping, and of several members the smallest. */
const isBetter = (a: Score, b: Score) => a.read > b.read + 0.02 || (a.read >= b.read - 0.02 && a.texts > b.texts);

const namesOf = ({ classnames }: FirstShard) => (classnames ? { classnames } : {});

function candidates(shard: FirstShard): (Mapping | undefined)[] {
  const language = 'en';
  const names = namesOf(shard);
  const classes: Mapping[] = shard.classnames
    ? [
        { captions: 'class', language, class: 'txt', ...names },
        { captions: 'class', language, class: 'cls', ...names },
      ]
    : [];
  const texts = (['txt', 'lines', 'json'] as const).map((captions): Mapping => ({ captions, language }));
  return [undefined, ...classes.slice(0, 1), ...texts, ...classes.slice(1)];
}

/** How much a mapping reads of the first examples, with and without what it asks for. */
async function scoreOf(shard: FirstShard, read: Mapping | undefined): Promise<Score> {
  const { examples } = await joinMembers(shard.key, shard.members, read);
  const known = new Set(firstNames(shard));
  const own = examples.filter(({ name }) => known.has(name));
  let [readable, texts] = [0, 0];
  for (const entry of own) {
    const captions = await captionsOf(shard, entry, read);
    if (captions.length > 0) readable++;
    texts += captions.length;
  }
  return { read: known.size === 0 ? 0 : readable / known.size, texts };
}

/** Names of the first pictures, whatever lies beside them. */
function firstNames({ members }: FirstShard): string[] {
  const names: string[] = [];
  for (const { name: path } of members) {
    const { name, extension } = splitName(path);
    if (isImage(extension)) names.push(name);
    if (names.length === tried) break;
  }
  return names;
}

async function captionsOf({ bytesOf }: FirstShard, entry: ExampleEntry, read: Mapping | undefined): Promise<string[]> {
  try {
    checkSizes(entry, read);
    const { captions } = await readMeta(entry, read, bytesOf);
    return Object.values(captions).flat();
  } catch (error) {
    if (error instanceof CorruptExample) return [];
    throw error;
  }
}

/** The field that the first example has its texts in, by its name: what a recipe says outright needs no default. */
async function fieldIn(shard: FirstShard, read: Mapping): Promise<Pick<Mapping, 'field'>> {
  const { examples } = await joinMembers(shard.key, shard.members, read);
  for (const { meta } of examples.slice(0, tried)) {
    const { value } = readJsonText(await shard.bytesOf(meta), { nan: true });
    const found = captionField((value ?? {}) as Record<string, unknown>);
    if (found) return { field: found[0] };
  }
  return {};
}
