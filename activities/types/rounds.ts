import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { Used } from '../../src/costs/used.ts';
import type { SlotPace } from '../../src/recipe/lane-lengths.ts';
import type { Lane } from '../../src/recipe/lanes.ts';
import type { PhasePlan } from './plan.ts';
import type { ShardHeartbeat, ShardResult } from './shard.ts';

/** A round of a phase: what it begins from, and the steps of the phase that its slots share. */
export interface Round {
  /** A checkpoint of the phase itself. */
  readonly from: CheckpointRef;
  /** The step that it ends with. */
  readonly to: number;
  readonly slots: number;
}

/** What the activities of a round are told alike. */
export interface RoundInput {
  readonly plan: PhasePlan;
  readonly revision: number;
  /** The checkpoint that the phase started from; null from scratch. */
  readonly parent: CheckpointRef | null;
  /** Batches of the phase that are left out, ascending. */
  readonly skip: readonly number[];
  readonly round: Round;
}

/** What a replica handed in, where it lies. */
export interface MemberRef {
  readonly slot: number;
  readonly key: string;
  /** Of the document under that key. */
  readonly sha256: string;
}

export interface ReplicaInput extends RoundInput {
  readonly slot: number;
  /** Of the slot, where lanes are dealt by pace; absent: all are alike. */
  readonly lane?: Pick<Lane, 'first' | 'steps'>;
  /** Where the moments of the slot are from, where each keeps its own: the last round that it was in. */
  readonly moments?: MemberRef;
}

export interface ReplicaResult {
  readonly slot: number;
  /** Null where the round was over already: a checkpoint stands at its end. */
  readonly member: MemberRef | null;
  readonly loss: number;
  readonly examplesPerSecond: number;
  /** What it uploaded. */
  readonly bytes: number;
  /** What it fetched to begin with, less what its worker had; absent in results of older versions. */
  readonly down?: number;
  readonly attempt: string;
  readonly deviceMs?: number;
  /** As in ShardResult. */
  readonly used?: Used;
}

/** Details of a heartbeat of trainReplica. */
export interface ReplicaHeartbeat extends ShardHeartbeat {
  readonly slot: number;
  /** Steps of its lane that are made, of so many. */
  readonly done: number;
  readonly of: number;
  /** Of the round. */
  readonly to: number;
  /** Bytes that it has uploaded, and fetched to begin with. */
  readonly up: number;
  readonly down: number;
}

export interface MergeInput extends RoundInput {
  /** Who is in; none where all slots said that the round is over. */
  readonly members: readonly MemberRef[];
  /** Slots that are not. */
  readonly late: readonly number[];
  /** Steps of the lane of each slot, where they are dealt by pace: written into the manifest. */
  readonly lengths?: readonly number[];
}

/** What a round came to. */
export interface RoundResult extends ShardResult {
  /** How fast its members were, as the manifest of its checkpoint says, where the next round is dealt by it. */
  readonly paces?: readonly SlotPace[];
}

export interface BeginRoundsInput extends Omit<RoundInput, 'round'> {
  /** A checkpoint of another revision that the phase goes on from; null: what lies in its own, or its start. */
  readonly from: CheckpointRef | null;
}

/** Where the first round of a history begins. */
export interface BegunRounds {
  readonly checkpoint: CheckpointRef;
  /** The round before, where there was one already. */
  readonly last: ShardResult | null;
  /** As in RoundResult, of the round that the checkpoint ends. */
  readonly paces?: readonly SlotPace[];
  readonly deviceMs?: number;
  /** As in ShardResult. */
  readonly used?: Used;
}
