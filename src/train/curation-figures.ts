import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchFacts, BatchRows } from '../data/batches/types.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { curationSheetHtml, curationSheetJson, type SheetExample } from '../report/curation-sheet.ts';

/** A super-batch, and what was chosen of it. */
export interface Choice {
  /** Rows, ascending. */
  readonly picks: Int32Array;
  /** Each candidate's score by itself. */
  readonly own: Float32Array;
}

/** Pictures on each half of a sheet. */
const shown = 24;

/** What a step says of its choice: mean scores, and the share of each source and language before and after. */
export function choiceFigures(
  { picks, own }: Choice,
  { described = [] }: Pick<BatchFacts, 'described'>,
): Record<string, number> {
  const total = own.reduce((sum, score) => sum + score, 0);
  const chosen = picks.reduce((sum, row) => sum + own[row]!, 0);
  const figures: Record<string, number> = {
    'curation/chosen': chosen / picks.length,
    'curation/rejected': (total - chosen) / (own.length - picks.length),
  };
  const share = (of: string, rows: Iterable<number>, count: number) => {
    for (const row of rows) {
      const { source = null, language = null } = described[row] ?? {};
      for (const [kind, name] of Object.entries({ source, language })) {
        if (name === null) continue;
        const key = `${kind}/${name}/${of}`;
        figures[key] = (figures[key] ?? 0) + 1 / count;
      }
    }
  };
  share('candidates', described.keys(), own.length);
  share('chosen', picks, picks.length);
  return figures;
}

/** The most and the least learnable candidates since the last report, for a sheet. No part of the state. */
export class Extremes {
  #most: SheetExample[] = [];
  #least: SheetExample[] = [];

  async add({ picks, own }: Choice, batch: BatchRows): Promise<void> {
    const { described = [] } = await batch.facts();
    const chosen = new Set(picks);
    for (const [row, score] of own.entries()) {
      const example = described[row];
      if (!example) continue;
      const wanted = this.#most.length < shown || score > this.#most.at(-1)!.score || score < this.#least.at(-1)!.score;
      if (!wanted || !Number.isFinite(score)) continue;
      const { images } = await batch.rows(row, 1, { names: ['images'] });
      const pixels = (images as Uint8Array).slice();
      const one: SheetExample = { ...example, score, chosen: chosen.has(row), pixels };
      this.#most = first([...this.#most, one], (a, b) => b.score - a.score);
      this.#least = first([...this.#least, one], (a, b) => a.score - b.score);
    }
  }

  /** Gives out what was collected, and begins anew. */
  take(): { readonly most: readonly SheetExample[]; readonly least: readonly SheetExample[] } {
    const taken = { most: this.#most, least: this.#least };
    this.#most = [];
    this.#least = [];
    return taken;
  }
}

/** The first of them, each example once, however many epochs went by. */
function first(examples: SheetExample[], order: (a: SheetExample, b: SheetExample) => number): SheetExample[] {
  const seen = new Set<string>();
  const once = examples.sort(order).filter(({ key }) => !seen.has(key) && seen.add(key));
  return once.slice(0, shown);
}

/** Writes the sheet of what was seen since the one before, as a page and as JSON; returns their names within the folder. */
export async function writeSheet(
  folder: string,
  { phase, model, curation }: PhaseSettings,
  step: number,
  extremes: Extremes,
): Promise<string[]> {
  const names = ['curation.html', 'curation.json'] as const;
  const title = `${phase}, up to step ${step}: by ${curation?.scores}`;
  const { resolution } = model.vision;
  const sheet = { title, resolution, ...extremes.take() };
  await writeFile(join(folder, names[0]), await curationSheetHtml(sheet));
  await writeFile(join(folder, names[1]), await curationSheetJson(sheet, step));
  return [...names];
}
