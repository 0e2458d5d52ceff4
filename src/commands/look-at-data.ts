import { guessMapping } from '../data/example/guess-mapping.ts';
import { readExamples } from '../data/example/read-examples.ts';
import { readClassnames } from '../data/index/classnames.ts';
import { indexData, type MappingSettings, mappingOf, shardsBelow } from '../data/index/index-data.ts';
import { joinMembers, KindsSeen } from '../data/index/members.ts';
import { openIndex } from '../data/index/open-index.ts';
import { PartReader } from '../data/index/part-reader.ts';
import { readShard } from '../data/index/read-shard.ts';
import { type ReasonCount, ReasonCounts } from '../data/index/reason-counts.ts';
import { SkippedMembers } from '../data/index/skipped-members.ts';
import type { CorruptMember, DataIndex, Mapping } from '../data/index/types.ts';
import { foreign, type ReadSettings } from '../recipe/reading.ts';
import { counted, number } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { printable } from '../runtime/printable.ts';
import { size } from '../runtime/size-text.ts';
import type { ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import { brokenLines } from './format-stats.ts';
import { sayIndexed } from './say-indexed.ts';

export interface LookOptions {
  /** How to read the shards; absent: guessed from the first. */
  readonly read?: ReadSettings | undefined;
  /** Every shard and every picture, not the first of them. */
  readonly all: boolean;
}

/** What there is below a prefix, and how it can be read. */
export interface DataLook {
  readonly prefix: string;
  readonly shards: number;
  readonly bytes: number;
  /** Members of the first shard, by their endings, most first. */
  readonly members: Readonly<Record<string, number>>;
  /** Shards that were looked at, and examples of them whose texts and pictures were read. */
  readonly looked: { readonly shards: number; readonly examples: number };
  /** For `data.read` of a recipe; null where nothing has to be said. */
  readonly read: Partial<ReadSettings> | null;
  readonly examples: number;
  /** Of the examples that were read, those that have a text in a language. */
  readonly languages: Readonly<Record<string, number>>;
  /** The first ones. */
  readonly shown: readonly {
    readonly key: string;
    readonly width: number;
    readonly height: number;
    readonly concept: string;
    readonly captions: Readonly<Record<string, readonly string[]>>;
  }[];
  /** What can't be used: the counts by reason, and each of up to 10,000. */
  readonly broken: { readonly members: number; readonly reasons: readonly ReasonCount[] } | null;
  readonly list: readonly CorruptMember[];
}

/** Examples that are shown. */
const shownExamples = 5;
/** Examples of the first shard whose pictures are decoded. */
const decoded = 100;
/** Shards that are opened to find one with pictures. */
const opened = 5;

/**
 * `siglip2 data look`: what lies below a prefix, how it is read, and what of it can't be used. DataContract, with what was
 * seen and what would be needed, where nothing reads it.
 */
export async function lookAtData(store: ObjectStore, prefix: string, { read, all }: LookOptions): Promise<DataLook> {
  const shards = await shardsBelow(store, prefix);
  const [first, settings] = await firstOf(store, prefix, shards, read);
  const index: DataIndex = all
    ? await indexData(store, prefix, settings, { onIndexed: sayIndexed() })
    : await indexOne(store, first, settings);
  const broken = new SkippedMembers();
  const reasons = new ReasonCounts();
  const refuse = (one: CorruptMember) => {
    reasons.add(one);
    broken.add([one]);
  };
  for (const one of index.corrupt) refuse(one);
  const languages: Record<string, number> = {};
  const shown: DataLook['shown'][number][] = [];
  let examples = 0;
  const max = all ? Number.POSITIVE_INFINITY : decoded;
  for await (const { image, meta } of readExamples(store, index, { max, onCorrupt: refuse })) {
    examples++;
    for (const language of Object.keys(meta.captions)) languages[language] = (languages[language] ?? 0) + 1;
    const { key, concept, captions } = meta;
    if (shown.length < shownExamples) shown.push({ key, width: image.width, height: image.height, concept, captions });
  }
  return {
    prefix,
    shards: shards.length,
    bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
    members: Object.fromEntries(first.seen.counts),
    looked: { shards: index.shards.length, examples: examples + reasons.members - index.corrupt.length },
    read: settings ? ({ ...settings, ...read } as Partial<ReadSettings>) : null,
    examples: index.examples,
    languages,
    shown,
    broken: reasons.members === 0 ? null : { members: reasons.members, reasons: reasons.list },
    list: broken.list,
  };
}

/** The first shard that has pictures, what is in it, and how it is read. */
export async function firstOf(
  store: ObjectStore,
  prefix: string,
  shards: readonly ObjectInfo[],
  told: ReadSettings | undefined,
) {
  const seen = new KindsSeen();
  const names = await classnamesBeside(store, prefix, foreign(told)?.classnames);
  let faults = 0;
  for (const info of shards.slice(0, opened)) {
    const { members, sha256 } = await readShard(store, info);
    for (const member of members)
      if ('offset' in member) seen.add(member.name);
      else faults++;
    const reader = new PartReader(store, info);
    const bytesOf = ({ offset, size }: { offset: number; size: number }) => reader.read(offset, size);
    const classnames = names?.classnames ?? null;
    const guess = told
      ? { read: foreign(told) && mappingOf(foreign(told)!, names?.classnames) }
      : await guessMapping({ key: info.key, members, bytesOf, classnames });
    if (!guess) continue;
    const first = { info, members, sha256, seen, mapping: guess.read };
    return [first, guess.read && settingsOf(guess.read, names?.key)] as const;
  }
  const what = seen.words ?? (faults > 0 ? 'nothing that is whole' : 'nothing');
  throw new RunnerError(
    'DataContract',
    `data: nothing reads the shards below ${prefix}/: ${shards.length > opened ? `the first ${opened} have` : 'they have'} ${what}; ` +
      'needed are pictures (.jpg, .jpeg, .png, .webp, .avif, .gif, .tif) and beside each, under the same name, its text in a .txt, ' +
      'in a field caption, captions or text of a .json, or its class in a .cls with a classnames.txt beside the shards',
  );
}

/** The file with the names of the classes: beside the shards or above them, as CLIP_benchmark has it. */
async function classnamesBeside(store: ObjectStore, prefix: string, told: string | undefined) {
  const folders = [prefix, prefix.split('/').slice(0, -1).join('/')].filter((folder) => folder !== '');
  for (const key of told === undefined ? folders.map((folder) => `${folder}/classnames.txt`) : [told]) {
    if (told === undefined && !(await store.head(key))) continue;
    return { key, ...(await readClassnames(store, key)) };
  }
  return null;
}

/** As a recipe says it. */
const settingsOf = ({ classnames, ...read }: Mapping, key: string | undefined): MappingSettings => ({
  ...read,
  ...(classnames && key !== undefined && { classnames: key }),
});

/** An index of one shard, which has been read already. */
async function indexOne(
  store: ObjectStore,
  { info, members, sha256, mapping }: Awaited<ReturnType<typeof firstOf>>[0],
  settings: MappingSettings | undefined,
): Promise<DataIndex> {
  const { key, bytes, etag } = info;
  const { examples, corrupt } = await joinMembers(key, members, mapping);
  const shard = { key, bytes, etag, ...(sha256 !== undefined && { sha256 }), examples };
  const read = settings && mapping && { read: mapping };
  const document = { prefix: key, fingerprint: '', examples: examples.length, shards: [shard], corrupt, ...read };
  return openIndex(document, store);
}

/** For people. */
export function formatLook(look: DataLook): string {
  const { prefix, shards, bytes, looked, read, examples, languages, shown, broken, list } = look;
  const kinds = Object.entries(look.members).map(([kind, files]) => `${number(files)} ${kind}`);
  const lines = [
    `${prefix}: ${counted(shards, 'shard')}, ${size(bytes)}; the first has ${kinds.join(', ')}`,
    `${looked.shards === shards ? '' : 'Of the first: '}${counted(examples, 'example')}; of ${number(looked.examples)} the texts and pictures were read: ${Object.entries(
      languages,
    )
      .map(([language, count]) => `${printable(language)} ${number(count)}`)
      .join(', ')}`,
    '',
  ];
  for (const { key, width, height, concept, captions } of shown) {
    const texts = Object.entries(captions).flatMap(([language, own]) => own.map((text) => `${language} "${text}"`));
    const more = texts.length > mostTexts ? ` and ${texts.length - mostTexts} more` : '';
    const what = concept === key ? '' : `, class ${printable(concept)}`;
    lines.push(
      `  ${printable(key)}, ${width} x ${height}${what}: ${texts.slice(0, mostTexts).map(printable).join(', ')}${more}`,
    );
  }
  if (broken) lines.push('', `${number(broken.members)} can't be used:`, ...brokenLines({ broken, list }));
  lines.push('', 'Put this into the recipe:', `  "data": ${JSON.stringify(recipeLines(look))}`);
  if (read && 'language' in read && read.captions !== 'class')
    lines.push(
      `Texts are taken to be in "${read.language}" unless the data say it: name the language that they are in.`,
    );
  return `${lines.join('\n')}\n`;
}

const mostTexts = 3;

/** What of `data` a recipe needs; languages where they are not the default. */
function recipeLines({ prefix, read, languages }: DataLook) {
  const known = Object.keys(languages).sort();
  const captions =
    known.length === 0 || known.includes('en') ? null : known.map((language) => ({ language, weight: 1 }));
  const shuffle = { examples: 50_000 };
  return { train: prefix, shuffle, ...(read && { read }), ...(captions && { captions }), resize: 'antialias' };
}
