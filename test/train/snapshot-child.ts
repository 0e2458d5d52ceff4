import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { freshState, streamState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { forgetPeak, memoryOf } from '../bench/memory.ts';
import { tinySettings } from './settings.ts';

/**
 * Prints what a process holds before a snapshot of a state with a large token table, its peak in it, what was written,
 * and what a copy of the whole state comes to.
 */
const { text } = tinySettings.model;
const model = { ...tinySettings.model, text: { ...text, width: 60, vocabulary: 256_000 } };
const settings = { ...tinySettings, model: { ...model, vision: { ...model.vision, width: 60 } } };
const { program, stateNames } = createTrainer(settings, { fuseFrom: Number.POSITIVE_INFINITY });
const load = () => program.write(freshState(settings));
load();
collectGarbage();
const folder = mkdtempSync(join(tmpdir(), 'siglip2-snapshot-'));
try {
  forgetPeak();
  const before = memoryOf('VmRSS');
  const { state, sha256 } = await streamState(folder, settings, program.read);
  const bytes = state.reduce((sum, file) => sum + file.bytes, 0);
  const peak = memoryOf('VmHWM');
  const whole = await writeState(folder, settings, program.read(stateNames));
  console.log(JSON.stringify({ before, peak, bytes, written: sha256, whole: whole.sha256 }));
} finally {
  rmSync(folder, { recursive: true });
}
