import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { upsertSearchAttributes } from '@temporalio/workflow';
import { showLog } from './activities-by.ts';
import type { PhaseState } from './messages.ts';

/** What `temporal workflow list --query` finds runs and phases by, and their pages say. */
const run = defineSearchAttributeKey('SiglipRun', SearchAttributeType.KEYWORD);
const phase = defineSearchAttributeKey('SiglipPhase', SearchAttributeType.KEYWORD);
const state = defineSearchAttributeKey('SiglipState', SearchAttributeType.KEYWORD);
const step = defineSearchAttributeKey('SiglipStep', SearchAttributeType.INT);

export function showIn(found: { run: string; phase?: string; state: PhaseState; step: number }): void {
  upsertSearchAttributes([
    { key: run, value: found.run },
    ...(found.phase === undefined ? [] : [{ key: phase, value: found.phase }]),
    { key: state, value: found.state },
    { key: step, value: found.step },
  ]);
  showLog([found.phase, found.state, `step ${found.step}`].filter((part) => part !== undefined).join(', '));
}
