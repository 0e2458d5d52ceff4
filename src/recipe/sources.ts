import type { MixtureSource } from './mixture.ts';
import { isWithin, placesOf } from './places.ts';
import type { Problem } from './problem.ts';
import { type ForeignRead, foreign, readProblems } from './reading.ts';
import type { DataSettings } from './schema.ts';

/** What says where training data lie, and how they are drawn from. */
type Placed = {
  readonly [K in 'train' | 'mixture' | 'mixtureAlpha' | 'read' | 'regions' | 'filter']?: DataSettings[K] | undefined;
};

/** A place that is read in one way. */
export interface DataSource {
  /** Of a mixture; null for data that are none. */
  readonly name: string | null;
  readonly train: DataSettings['train'];
  /** Undefined: the JSON of this project. */
  readonly read: ForeignRead | undefined;
  /** Where the regions of its shards lie. */
  readonly regions?: string | undefined;
  /** Name of what leaves examples out; undefined: nothing. */
  readonly filter?: string | undefined;
}

/** The sources of a mixture, or the one that data are which are none. */
export function sourcesOf({ train = [], mixture, read, regions, filter }: Placed): DataSource[] {
  if (!mixture) return [{ name: null, train, read: foreign(read), regions, filter }];
  return mixture.map((source) => ({
    ...{ name: source.name, train: source.train, read: foreign(source.read), regions: source.regions },
    filter: source.filter ?? filter,
  }));
}

/** Every place that is trained on. */
export const trainingPlaces = (data: Placed): readonly string[] =>
  sourcesOf(data).flatMap(({ train }) => placesOf(train));

/** The data settings that examples of a source are made by. */
export function dataOfSource(data: DataSettings, source: MixtureSource | undefined): DataSettings {
  if (!source) return data;
  const { read: _, mixture: __, ...common } = data;
  const { train, read, captions, labelShare } = source;
  return {
    ...common,
    train,
    ...(read && { read }),
    ...(captions && { captions }),
    ...(labelShare !== undefined && { labelShare }),
  };
}

/** All languages that texts of these data are trained on in. */
export function languagesOf(data: DataSettings): string[] {
  const own = (data.mixture ?? []).flatMap(({ captions, languages }) => languages ?? captions ?? data.captions);
  return [...new Set((data.mixture ? own : data.captions).map(({ language }) => language))];
}

/** What is wrong with where training data lie. `at`: the place of `data` in the recipe. */
export function sourceProblems(data: Placed, at: string): Problem[] {
  const { train = [], mixture, mixtureAlpha, read, regions } = data;
  const problems: Problem[] = [];
  const add = (message: string, ...fields: string[]) =>
    problems.push({ fields: fields.map((field) => `${at}.${field}`), message: `${at}.${message}` });
  if (!mixture) {
    if (mixtureAlpha !== undefined) add('mixtureAlpha is given; it is allowed with a mixture', 'mixtureAlpha');
    return problems;
  }
  if (placesOf(train).length > 0)
    add(
      'train is given beside a mixture, whose sources say where they lie; one of the two is allowed',
      'train',
      'mixture',
    );
  if (read) add('read is given beside a mixture; each of its sources may have its own read', 'read', 'mixture');
  if (regions !== undefined)
    add(
      'regions is given beside a mixture; each of its sources may have its own regions, which belong to its shards',
      'regions',
      'mixture',
    );
  const weighted = mixture.filter(({ weight }) => weight !== undefined);
  if (weighted.length > 0 && weighted.length < mixture.length) {
    const without = mixture.find(({ weight }) => weight === undefined)!;
    add(
      `mixture has weights, and ${without.name} has none; one for each source, or none at all, is allowed`,
      'mixture',
    );
  }
  if (weighted.length > 0 && mixtureAlpha !== undefined)
    add('mixtureAlpha is given beside weights; it is allowed where no source has one', 'mixtureAlpha', 'mixture');
  for (const [i, source] of mixture.entries()) {
    problems.push(...readProblems(source.read, `${at}.mixture.${i}.read`));
    const own = `mixture.${i}`;
    if (mixture.findIndex(({ name }) => name === source.name) < i)
      add(`${own}.name is "${source.name}" again; each name once is allowed`, `${own}.name`);
    if (source.captions && source.languages)
      add(
        `${own}.languages is given beside captions; languages by weight over examples, or captions by weight within one, are allowed`,
        `${own}.languages`,
        `${own}.captions`,
      );
    for (const field of ['captions', 'languages'] as const)
      for (const [j, { language }] of (source[field] ?? []).entries())
        if (source[field]!.findIndex((other) => other.language === language) < j)
          add(`${own}.${field}.${j}.language is "${language}" again; each language once is allowed`, `${own}.${field}`);
  }
  return problems;
}

/** Places of which one is trained on twice: within a source. Sources may share one, as with two weights of languages. */
export function doubledPlaces(train: DataSettings['train']): readonly string[] {
  const places = placesOf(train);
  return places.filter((place, i) =>
    places.some((other, j) => i !== j && isWithin(place, other) && (place !== other || j < i)),
  );
}
