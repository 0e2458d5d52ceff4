import type { Spread } from '../data/stats/spread.ts';
import { counted, number } from '../runtime/count-text.ts';
import { printable } from '../runtime/printable.ts';
import { size } from '../runtime/size-text.ts';
import type { DataStats } from './data-stats.ts';

const share = (part: number, of: number) => (of === 0 ? '-' : `${((100 * part) / of).toFixed(1)} %`);
const mostNamed = 20;

/** What is told, as lines of a name and what it is; names and reasons come from the data, and are harmless here. */
export function statsLines(stats: DataStats): readonly (readonly [name: string, said: string])[] {
  const { looked, examples, copies, nearCopies, broken, regions, texts } = stats;
  const spread = (of: Spread | null, unit = number) =>
    of === null
      ? '-'
      : `${unit(of.min)} to ${unit(of.max)}, median ${unit(of.median)}, 90 % within ${unit(of.p5)} and ${unit(of.p95)}`;
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .slice(0, 20)
      .map(([name, count]) => `${printable(name).slice(0, 60)} ${number(count)}`)
      .join(', ') || '-';
  const whole = looked.shards === stats.shards && looked.read === looked.examples - brokenByName(stats);
  const cut = Object.entries(stats.cutAt).map(([length, count]) => `${share(count, texts)} at ${length}`);
  return [
    ['shards', `${number(stats.shards)}, ${size(stats.shardBytes)}`],
    [
      'looked at',
      `${counted(looked.shards, 'shard')} with ${counted(looked.examples, 'example')}, of which ${counted(looked.read, 'was', 'were')} read${whole ? ': all there are' : ', evenly spread'}`,
    ],
    ['usable', `${number(examples)} of those that were read`],
    ['pictures', list(stats.formats)],
    ['width', spread(stats.width)],
    ['height', spread(stats.height)],
    ['width by height', list(stats.aspects)],
    ['bytes', spread(stats.bytes, size)],
    ['languages', list(stats.languages)],
    ['texts an example', spread(stats.textsOfExample)],
    ['tokens a text', `${spread(stats.tokens)}, its end among them; more than 64 count as 65`],
    ['texts that are cut', cut.join(', ')],
    ...(Object.keys(stats.sources).length > 0 ? ([['sources', list(stats.sources)]] as const) : []),
    ...(regions.regions > 0
      ? ([['regions', `${number(regions.regions)} in ${counted(regions.examples, 'example')}`]] as const)
      : []),
    [
      'copies',
      `${share(copies.copies, copies.followed)} are a copy of another, byte for byte (${number(copies.copies)} of ${number(copies.followed)}${copies.all ? '' : ', an even share by their hash'})`,
    ],
    [
      'near copies',
      `${share(nearCopies.copies, nearCopies.compared)} look like one before, copies among them (${number(nearCopies.copies)} of ${nearCopies.all ? '' : 'the first '}${number(nearCopies.compared)})`,
    ],
    ["can't be used", number(broken.members)],
  ];
}

/** Those that were not even to be read. */
const brokenByName = ({ looked, examples, broken }: DataStats) => broken.members - (looked.read - examples);

/** For people. */
export function formatStats(stats: DataStats): string {
  const lines = statsLines(stats).map(([name, said]) => `${`${name}:`.padEnd(20)}${said}`);
  return `${[`${stats.prefix}`, ...lines, ...brokenLines(stats)].join('\n')}\n`;
}

/** How many can't be used by reason, and the first of them by name. */
export function brokenLines({ broken, list }: Pick<DataStats, 'broken' | 'list'>): string[] {
  const reasons = broken.reasons.map(({ reason, members, example }) => {
    const such = example === null ? '' : `, such as ${example.shard}, ${printable(example.name)}`;
    return `  ${counted(members, 'time')}: ${printable(reason)}${such}`;
  });
  const named = list
    .slice(0, mostNamed)
    .map(({ shard, name, reason }) => `  ${shard}, ${printable(name)}: ${printable(reason)}`);
  const more = broken.members - mostNamed;
  return [...reasons, ...named, ...(more > 0 ? [`  and ${number(more)} more, of which --json names 10,000`] : [])];
}
