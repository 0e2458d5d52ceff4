import { z } from 'zod';
import { parseWith, readDocument } from '../../checkpoint/documents.ts';
import { metricsPrefix, type PhaseKey } from '../../checkpoint/keys.ts';
import { sheetSchema } from '../../evaluate/sheet/sheet.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { parsePieceName } from '../../telemetry/series.ts';
import type { CuratedSheet, ReportedSheet } from '../types.ts';
import type { EvaluationRead } from './evaluations.ts';

/** Sheets that a page has room for are far fewer. */
const mostSheets = 24;

/** The sheet beside each of these evaluations, where one was made. */
export async function readSheets(
  store: ObjectStore,
  evaluations: readonly EvaluationRead[],
  phases: readonly string[],
  problems: string[],
): Promise<ReportedSheet[]> {
  const keys = new Map<string, Omit<ReportedSheet, 'sheet'>>();
  for (const { sheet, reported } of evaluations) {
    const { phase, step, task } = reported;
    if (phases.includes(phase)) keys.set(sheet, { phase, step, task });
  }
  const inOrder = [...keys].sort(
    ([a, one], [b, other]) => phases.indexOf(one.phase) - phases.indexOf(other.phase) || (a < b ? -1 : 1),
  );
  const found: ReportedSheet[] = [];
  for (const [key, of] of inOrder.slice(-mostSheets)) {
    const sheet = await read(store, key, sheetSchema, problems);
    if (sheet) found.push({ ...of, sheet });
  }
  return found;
}

const example = z.object({
  text: z.string().max(1000),
  score: z.number(),
  chosen: z.boolean(),
  picture: sheetSchema.shape.pictures.valueType,
});
const curated = z.object({
  version: z.literal(1),
  step: z.int().min(0),
  most: z.array(example).max(100),
  least: z.array(example).max(100),
});

/** What a phase chose by, as of its last checkpoint; null where it did not choose. */
export async function readCurated(
  store: ObjectStore,
  at: PhaseKey,
  objects: readonly ObjectInfo[],
  problems: string[],
): Promise<CuratedSheet | null> {
  const prefix = metricsPrefix(at);
  const places = objects.flatMap(({ key }) => {
    const place = key.startsWith(prefix) && key.endsWith('-curation.json') && parsePieceName(key.slice(prefix.length));
    return place ? [{ key, ...place }] : [];
  });
  const last = places.sort((a, b) => a.revision - b.revision || a.step - b.step).at(-1);
  const sheet = last && (await read(store, last.key, curated, problems));
  return sheet ? { phase: at.phase, step: sheet.step, most: sheet.most, least: sheet.least } : null;
}

async function read<T>(store: ObjectStore, key: string, schema: z.ZodType<T>, problems: string[]): Promise<T | null> {
  const document = await readDocument(store, key);
  const parsed = document && 'bytes' in document ? parseWith(schema, document.bytes) : document;
  if (parsed && 'value' in parsed && parsed.value !== undefined) return parsed.value;
  if (parsed && 'problem' in parsed) problems.push(`${key}: ${parsed.problem}`);
  return null;
}
