import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { readSchema } from '../src/recipe/reading.ts';
import type { ReplanInput } from './types/shard.ts';

/** What `retryPhase` says of the data: what it does not say is as before. */
export type OtherData = Pick<ReplanInput['overrides'], 'data' | 'read' | 'maxBroken'>;

export function otherSource(
  { batches }: { batches: Pick<PhaseSettings['batches'], 'data'> },
  { data, read, maxBroken }: OtherData,
) {
  // As a person gave it, without defaults.
  const mapping = read && { read: readSchema.parse(read) };
  const most = maxBroken !== undefined && { maxBroken };
  return { ...batches.data, ...(data !== undefined && { train: data }), ...mapping, ...most };
}
