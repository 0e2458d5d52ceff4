import { decodedBytes, objectsCost } from '../data/batches/decoded-cache.ts';
import {
  aheadBytes,
  exampleBytes,
  heldBytes,
  largestArrayBytes,
  pieceBytes,
  prefetchBytes,
  rowBytes,
  stripBytes,
} from '../data/batches/row-bytes.ts';
import { stripsAtOnce } from '../data/batches/row-threads.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { keptBytes } from './kept-features.ts';

/** Batches that the loader makes ahead, where their bytes allow it. */
export const prefetchedBatches = 3;

/** What the batches of a phase take of the machine beside the device, at most. */
export interface HostBytes {
  /** In memory of the trainer process. */
  readonly memory: number;
  /** On the disk, below SIGLIP2_SCRATCH, of which the page cache holds what there is room for. */
  readonly disk: number;
  /** The largest array that a step is fed, or that is made of a whole batch. */
  readonly largestArray: number;
  /** Of the memory. */
  readonly parts: {
    readonly loader: number;
    readonly batches: number;
    /** Of the whole batch, where it is embedded in micro-batches; and those of a frozen tower that are kept. */
    readonly embeddings: number;
    /** Of candidates, with what a report says of them. */
    readonly choice: number;
  };
}

/** The thread itself, its tokenizer, and pictures that are being decoded: measured (`npm run bench -- --only plan/loader`). */
const loaderBytes = 350e6;
/** One of several threads that make rows for it: its code, and pictures that are being decoded. */
const rowThreadBytes = 70e6;
/** The tokenizer that each of them has where a part of a batch has texts of its own: measured. */
const tokenizerBytes = 110e6;
/** Side of a picture before it is cut to what is trained on, where nothing is known of it. */
const usualPicture = 256;
/** What a report is to know of a candidate. */
const describedBytes = 300;

/** Whether the arrays of a batch are needed a second time: for the gradient of a whole-batch loss, or once chosen. */
export function heldForTwo({ accumulate, objectives, curation }: PhaseSettings): boolean {
  return curation !== undefined || (accumulate > 1 && objectives.sigmoid !== undefined);
}

/**
 * Counts what the batches of a phase take on the host: pieces that are made and made ready, those that are kept for the
 * second pass, one micro-batch put together, and the embeddings of the whole batch.
 *
 * @param examples of the data, where they are known: of few, few decoded pictures are kept, and of very many none
 * @param threads that make rows, `loaderThreads` of where it is trained
 */
export function hostBytes(settings: PhaseSettings, examples?: number, threads = 1): HostBytes {
  const { batches, accumulate, curation, objectives } = settings;
  const { batch, candidates = 0 } = batches;
  let [memory, disk, largestArray] = [0, 0, 0];
  for (const { count, length } of new PhaseSteps(batches).shapes()) {
    const row = exampleBytes(batches, length);
    const micro = count / accumulate;
    // What is chosen is kept beside the super-batch that it is chosen from.
    const whole = (curation ? candidates + batch : count) * row;
    const piece = Math.min(pieceBytes, (candidates || count) * row);
    const ready = Math.min(prefetchBytes, prefetchedBatches * (candidates || count) * row);
    const kept = heldForTwo(settings) ? Math.min(heldBytes, whole) : piece;
    // A batch of one piece is fed as it lies; else one micro-batch is put together while the one before is let go.
    const fed = whole <= pieceBytes ? 0 : 2 * micro * row;
    // Several threads begin with the next piece before this one is whole, and its parts are laid together.
    const parts = threads > 1 ? 2 * piece + threads * stripsAtOnce * Math.max(row, Math.min(stripBytes, piece)) : 0;
    // A piece that is being made counts as ready. What was let go stays until JavaScript collects it: about a piece.
    memory = Math.max(memory, piece + ready + kept + fed + parts);
    // While the second pass goes on, the next batch is laid beside it.
    if (heldForTwo(settings)) disk = Math.max(disk, whole + Math.min(whole, aheadBytes) - heldBytes);
    largestArray = Math.max(largestArray, micro * Math.max(...Object.values(rowBytes(batches, length))));
  }
  const side = 4 * embeddingWidth(settings.model);
  const teacher = curation?.teacher ? 4 * embeddingWidth(curation.teacher.model) : curation ? side : 0;
  // Of pictures and texts, and the gradient of each.
  const contrast = accumulate > 1 && objectives.sigmoid ? 4 * batch * side : 0;
  const frozen = settings.frozenFeatures ? keptBytes(settings, examples) : 0;
  const choice = 2 * candidates * (side + teacher) + candidates * describedBytes;
  const says = batches.parts?.captionTargets ?? batches.parts?.hardNegatives;
  const ofThread = rowThreadBytes + (says ? tokenizerBytes : 0);
  const parts = {
    loader: loaderBytes + decodedOf(batches.resolution, examples) + (threads > 1 ? threads * ofThread : 0),
    batches: memory,
    embeddings: contrast + frozen,
    choice,
  };
  return {
    memory: parts.loader + memory + parts.embeddings + choice,
    disk: Math.max(0, disk),
    largestArray: Math.max(largestArray, (candidates || batch) * Math.max(side, teacher)),
    parts,
  };
}

/** Decoded pictures that are kept: of a set that is larger than what may be kept there are none. */
function decodedOf(resolution: number, examples?: number): number {
  if (examples === undefined) return decodedBytes;
  if (examples * objectsCost > decodedBytes) return 0;
  return Math.min(decodedBytes, examples * (objectsCost + 3 * Math.max(resolution, usualPicture) ** 2));
}

/** Why a phase would need an array that is too large, and what would help; null where it does not. */
export function arrayProblem(settings: PhaseSettings): string | null {
  const { phase, accumulate, batches } = settings;
  const { largestArray } = hostBytes(settings);
  if (largestArray <= largestArrayBytes) return null;
  const least = Math.min(...new PhaseSteps(batches).shapes().map(({ count }) => count));
  const fits = (parts: number) => hostBytes({ ...settings, accumulate: parts }).largestArray <= largestArrayBytes;
  const divisors = Array.from({ length: least }, (_, i) => i + 1).filter((n) => least % n === 0 && n > accumulate);
  const enough = divisors.find(fits);
  const helps = enough === undefined ? 'only a smaller batch would do' : `"accumulate": ${enough} would do`;
  return `phase ${phase} would feed a step an array of ${gigabytes(largestArray)} (at most ${gigabytes(largestArrayBytes)}); ${helps}`;
}

export const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
