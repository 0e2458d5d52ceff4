import { headChunk } from '../objectives/distillation.ts';
import { sigmoidSide } from '../objectives/sigmoid.ts';
import { captionTasks } from '../recipe/caption-tasks.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { bankRows } from '../recipe/text-bank.ts';
import { headsOf } from './passes.ts';

/** A loss whose large arrays exist for some rows at a time. */
export interface LossChunks {
  readonly loss: 'sigmoid' | 'bank' | 'captioning' | 'localToGlobal' | 'maskedPrediction';
  /** Pairs, rows of text, or images; and how many of them at a time. */
  readonly rows: number;
  readonly atATime: number;
  readonly chunks: number;
}

/**
 * How a step of `count` examples cuts its losses: the very sizes that its graph is made with, which depend on the settings
 * alone, so that a phase has the same bytes on every machine of a kind.
 */
export function lossChunks(settings: PhaseSettings, count: number): LossChunks[] {
  const { accumulate, model, objectives } = settings;
  const micro = count / accumulate;
  const of = (loss: LossChunks['loss'], rows: number, atATime: number): LossChunks => ({
    ...{ loss, rows, atATime: Math.min(rows, atATime) },
    chunks: Math.ceil(rows / atATime),
  });
  // Squares of as many images as texts.
  const tiles = (pairs: number, side: number): LossChunks => {
    const { atATime, chunks } = of('sigmoid', pairs, side);
    return { loss: 'sigmoid', rows: pairs, atATime, chunks: chunks ** 2 };
  };
  // Images of a batch, with texts of a bank.
  const bank = (images: number, side: number): LossChunks => {
    const { atATime, chunks } = of('bank', images, side);
    return { loss: 'bank', rows: images, atATime, chunks: chunks * Math.ceil(bankRows / side) };
  };
  const { sigmoid, captioning } = objectives;
  return [
    ...(sigmoid ? [tiles(count, sigmoidSide(count))] : []),
    ...(sigmoid?.bank ? [bank(count, sigmoidSide(count))] : []),
    ...(captioning ? [of('captioning', micro * captionTasks.length * model.text.length, captioning.chunk)] : []),
    ...headsOf(settings).map(({ name, size, student, teacher }) =>
      of(name, micro, headChunk(micro, student + teacher, size.prototypes)),
    ),
  ];
}
