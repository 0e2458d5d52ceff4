import { counted, number } from '../runtime/count-text.ts';
import { size } from '../runtime/size-text.ts';
import type { PackSettings } from './settings.ts';
import type { Dropped } from './types.ts';

/** What a pack ends with: `pack.json` beside the shards, and the result of the workflow. Below 200 KB, whatever the data are. */
export interface PackReport {
  readonly settings: PackSettings;
  readonly layout: string;
  /** Rows or files that were looked at. */
  readonly read: number;
  readonly examples: number;
  readonly shards: number;
  readonly bytes: number;
  /** Copies of a picture that came before, and texts that came from them to that one. */
  readonly duplicates: {
    readonly exact: number;
    readonly near: number;
    readonly texts: number;
    readonly crowded: number;
  };
  /** What can't be used, by reason. */
  readonly dropped: Dropped;
  /** Rows of other splits, and about how many pictures no row names. */
  readonly otherSplits: number;
  readonly unnamed: number;
}

/** For people: what was packed, and what was left out and why. */
export function formatPack(report: PackReport): string {
  const { settings, layout, read, examples, shards, bytes, duplicates, dropped, otherSplits, unnamed } = report;
  const { exact, near, texts, crowded } = duplicates;
  const each = examples > 0 ? `, ${size(bytes / examples)} a picture` : '';
  const lines = [
    `${settings.to}: ${counted(examples, 'picture')} in ${counted(shards, 'shard')}, ${size(bytes)}${each}`,
    `  of ${number(read)} in ${settings.from} (${layout})`,
  ];
  if (exact + near > 0)
    lines.push(
      `  once each: ${number(exact)} had the pixels of another, ${number(near)} were near one; ${counted(texts, 'text of them was', 'texts of them were')} kept`,
    );
  if (crowded > 0)
    lines.push(
      `  ${counted(crowded, 'time')} a picture was not compared with all that look alike, since those are too many`,
    );
  for (const [reason, { pictures, names }] of Object.entries(dropped)) {
    lines.push(`  left out: ${number(pictures)}, ${reason}`);
    for (const name of names.slice(0, 3)) lines.push(`    ${name}`);
    if (pictures > 3)
      lines.push(
        `    and ${number(pictures - 3)} more${names.length > 3 ? `, of which pack.json names ${names.length - 3}` : ''}`,
      );
  }
  if (otherSplits > 0) lines.push(`  ${counted(otherSplits, 'row is', 'rows are')} of other splits`);
  if (unnamed > 0) lines.push(`  about ${counted(unnamed, 'picture is', 'pictures are')} named by no row`);
  lines.push('', 'Put this into the recipe:', `  "data": {"train": "${settings.to}", "read": {"captions": "json"}}`);
  return `${lines.join('\n')}\n`;
}
