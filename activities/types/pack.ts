import type { PackSettings } from '../../src/packing/settings.ts';

/** A pack, as it was begun. */
export interface PackInput {
  readonly settings: PackSettings;
}

export interface PackBegun extends PackInput {
  /** Its report is there already. */
  readonly done: boolean;
}

export interface PackListed {
  readonly layout: string;
  readonly parts: number;
  readonly items: number;
}

export interface HashPartInput extends PackInput {
  readonly part: number;
  /** Partitions that the hashes of all parts are compared in. */
  readonly partitions: number;
}

export interface HashPartResult {
  readonly usable: number;
}

export interface MergePartInput extends PackInput {
  readonly partition: number;
}

export interface MergePartResult {
  readonly edges: number;
  readonly crowded: number;
}

export interface SettlePackInput extends PackInput {
  readonly partitions: number;
}

/** Pictures that were another, or near one. */
export interface SettledPack {
  readonly exact: number;
  readonly near: number;
}

export interface PackPartInput extends PackInput {
  readonly part: number;
}

export interface PackPartResult {
  readonly shards: number;
  readonly examples: number;
  readonly bytes: number;
}
