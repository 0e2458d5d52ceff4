import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ProgramCache } from '../../src/compile/program-cache.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { tinySettings } from '../train/settings.ts';

/**
 * Trains a tiny model for two steps in a process of its own. Argument: the cache folder, or nothing for none. Prints whether
 * the program was found, how many functions XLA compiled, and hashes of the program and of the state.
 */
const [folder] = process.argv.slice(2);
const cache = folder ? ProgramCache.open(folder) : null;
let found = false;
const watched = cache && {
  slot(made: object) {
    const slot = cache.slot(made)!;
    const find = () => {
      const program = slot.find();
      found = program !== null;
      return program;
    };
    return { ...slot, find };
  },
};
// Some chains become functions of XLA's, as in a model of some size.
const trainer = createTrainer(tinySettings, { fuseFrom: 500 }, watched as ProgramCache | null);
trainer.program.write(freshState(tinySettings));
const filesOf = () => {
  if (!folder) return [];
  const [own] = readdirSync(join(folder, 'open'));
  const open = join(folder, 'open', own!);
  return readdirSync(open).map((name) => `${name} ${statSync(join(open, name)).mtimeMs}`);
};
const before = new Set(filesOf());
const { batch, resolution, textLength } = tinySettings.batches;
const images = new Uint8Array(batch * resolution * resolution * 3).map((_, i) => i % 251);
const tokens = new Int32Array(batch * textLength).map((_, i) => i % 9);
for (const step of [1, 2]) trainer.step(step, { index: 0, images, tokens, parts: {}, skipped: [] });
trainer.program.keep();
const compiled = filesOf().filter((file) => !before.has(file)).length;
const values = trainer.program.read(trainer.stateNames);
const bytes = Object.values(values).map(({ buffer }) => Buffer.from(buffer));
console.log(JSON.stringify({ found, compiled, program: trainer.program.hash, state: sha256(Buffer.concat(bytes)) }));
process.exit(0);
