import type { DinoHeadSize } from '../model/dino-head-parameters.ts';
import type { TextBankSettings } from './text-bank.ts';

/** What both objectives that learn from the teacher have in common (DINO, arXiv 2104.14294, section 3.1). */
export interface DistillationSettings extends DinoHeadSize {
  readonly weight: number;
  readonly studentTemperature: number;
  readonly teacherTemperature: number;
  readonly centerMomentum: number;
}

export interface LocalToGlobalSettings extends DistillationSettings {
  /** Local views of an example; 8 in the paper. */
  readonly views: number;
  /** Their side in pixels, a multiple of the patch; 96 in SILC. */
  readonly resolution: number;
}

export interface MaskedPredictionSettings extends DistillationSettings {
  /** Share of the patches that the student does not see; 0.5 in the paper. */
  readonly share: number;
}

export interface SigmoidSettings {
  readonly weight: number;
  /** What pairs of two examples are that have their text, class or picture in common; absent: negatives, as all others. */
  readonly kin?: 'ignored' | 'positive';
  /** Pairs of two examples weigh as in a batch of so many of these; absent: of one. */
  readonly batches?: number;
  /** Texts of other replicas that images meet too; absent: none. */
  readonly bank?: TextBankSettings;
  /** Whether a text is a positive of every picture that has it among its texts. */
  readonly anyText?: true;
}

export interface HardNegativesSettings {
  readonly weight: number;
  /** Of an example, at most. */
  readonly texts: number;
}

export interface CaptioningSettings {
  readonly weight: number;
  /** Layers of the decoder; half of the text tower's in the paper. */
  readonly depth: number;
  /** Rows whose logits over the vocabulary exist at a time. */
  readonly chunk: number;
}

/** What a phase trains for: the settings of each objective that is on, every default resolved. */
export interface ObjectiveSettings {
  readonly sigmoid?: SigmoidSettings;
  readonly captioning?: CaptioningSettings;
  readonly localToGlobal?: LocalToGlobalSettings;
  readonly maskedPrediction?: MaskedPredictionSettings;
  readonly hardNegatives?: HardNegativesSettings;
}
