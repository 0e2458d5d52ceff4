import { squareObjectives } from './objectives.ts';
import type { PhaseSettings } from './phase-settings.ts';

/** What the teacher of a phase has to say, or the phase waits. */
export interface InformationBound {
  /** In nats: see `divergence.minInformation`. */
  readonly min: number;
  /** The first step that it is asked of. */
  readonly from: number;
}

/** A healthy teacher says 0.3 nats and more, a collapsed one less than 0.001: test/LOG.md. */
const usual = 0.01;

/** So many times as long as the teacher remembers, it may be what it was at first: 294 steps of its momentum of 0.966. */
const patience = 10;

/** The bound for a phase that goes on, or is changed, at a step; null where nothing learns from a teacher that moves. */
export function informationBound(
  { objectives, teacher: { momentum } }: Pick<PhaseSettings, 'objectives' | 'teacher'>,
  step: number,
  min: number = usual,
): InformationBound | null {
  if (min === 0 || momentum === 1 || !squareObjectives.some((name) => objectives[name])) return null;
  return { min, from: step + Math.round(patience / (1 - momentum)) };
}
