import { join } from 'node:path';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { readState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { answerTurns } from './answer-turns.ts';
import { memoryOf } from './memory.ts';
import { noiseBatch } from './noise-batch.ts';
import { tuneSettings } from './tune-settings.ts';

/** Arguments: a variant, the folder of an imported model, steps to warm up. Answers as line-process.ts says. */
const [variant, folder, warmUp] = process.argv.slice(2) as [string, string, string];
const base = memoryOf('VmRSS');
const settings = tuneSettings(variant);
const batch = noiseBatch(settings);
const { resolution, textLength, batch: count } = settings.batches;
const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);
await writeSafetensors(join(folder, 'batch.safetensors'), [
  { name: 'images', dtype: 'U8', shape: [count, resolution, resolution, 3], data: bytes(batch.images) },
  { name: 'tokens', dtype: 'I32', shape: [count, textLength], data: bytes(batch.tokens) },
]);
const began = performance.now();
const trainer = createTrainer(settings);
const load = async () => trainer.program.write(await readState(folder, settings));
await load();
// As a training session does.
collectGarbage();
let step = 0;
await answerTurns(() => trainer.step(++step, batch).loss, {
  warmUp: Number(warmUp),
  base,
  began,
  version: tf.version['tfjs-core'],
});
