import { trainingFiles } from '../checkpoint/training-files.ts';
import { SafetensorsFile, type TensorToWrite } from '../safetensors/safetensors.ts';
import type { Choice } from './curation-figures.ts';

/**
 * The choice that a checkpoint holds for the step after it. Where choices overlap steps it was made with the learner of
 * one step before, which the checkpoint no longer has. It counts for the very super-batch and step that it was made for;
 * where another is next (a batch was left out, the data or the phase are others) there is none, and one is made with the
 * learner at hand, as at the first step of a phase.
 */
export interface KeptChoice extends Choice {
  /** sha256 of the step and the super-batch that it was made for. */
  readonly of: string;
}

const names = { picks: 'choice/picks', own: 'choice/scores', of: 'choice/of' };

const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array | Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Pieces of training state; `training-*.safetensors` holds them. */
export function keptTensors({ picks, own, of }: KeptChoice): TensorToWrite[] {
  return [
    { name: names.picks, dtype: 'I32', shape: [picks.length], data: bytesOf(picks) },
    { name: names.own, dtype: 'F32', shape: [own.length], data: bytesOf(own) },
    { name: names.of, dtype: 'U8', shape: [32], data: Buffer.from(of, 'hex') },
  ];
}

/** The choice in one of the files of training state below `folder`, or null. */
export async function readKept(folder: string): Promise<KeptChoice | null> {
  for (const path of await trainingFiles(folder)) {
    const file = await SafetensorsFile.open(path);
    try {
      if (!file.tensors.has(names.of)) continue;
      const [picks, own, of] = [await file.read(names.picks), await file.read(names.own), await file.read(names.of)];
      return {
        picks: new Int32Array(picks.buffer),
        own: new Float32Array(own.buffer),
        of: Buffer.from(of).toString('hex'),
      };
    } finally {
      await file.close();
    }
  }
  return null;
}
