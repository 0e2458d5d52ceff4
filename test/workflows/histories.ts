import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

/** Histories of every shape that was released: they must replay for as long as such runs may be open. */
export const histories = new URL('histories/', import.meta.url);

/**
 * With UPDATE_HISTORIES=1 the history of a test is written down, under a new name: those that are there stay, as runs
 * that began under older code do.
 */
export async function keepHistory(client: Client, workflowId: string, file: string, runId?: string): Promise<void> {
  if (!process.env.UPDATE_HISTORIES) return;
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  // Whose machine it was is nobody's business, nor where the project lies on it.
  const text = historyToJSON(history)
    .replaceAll(/"(?:\d+@[^"]*)"/g, '"worker"')
    .replaceAll(fileURLToPath(new URL('../..', import.meta.url)), '');
  mkdirSync(histories, { recursive: true });
  const path = new URL(file, histories);
  if (!existsSync(path)) writeFileSync(path, text);
}
