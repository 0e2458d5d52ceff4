import { packKeys } from '../src/packing/keys.ts';
import type { PackReport } from '../src/packing/report.ts';
import { type PackSettings, parsePack } from '../src/packing/settings.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { canonicalJson } from '../src/runtime/hash.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { Dependencies } from './dependencies.ts';
import { readPackJson } from './pack-documents.ts';
import type { PackBegun } from './types/pack.ts';

/**
 * Checks what a pack was started with, and takes its prefix: nothing else may lie there. The same settings go on where
 * an earlier start was, and have its report where it was done.
 */
export async function beginPack({ store }: Dependencies, input: unknown): Promise<PackBegun> {
  const settings = parsePack(input);
  const { to } = settings;
  const keys = packKeys(to);
  await probeConditionalWrites(store);
  const done = await readPackJson<PackReport>(store, keys.report);
  if (done) return requireSame(to, done.settings, settings, true);
  const begun = await readPackJson<PackSettings>(store, keys.settings);
  if (begun) return requireSame(to, begun, settings, false);
  for await (const { key } of store.list(`${to}/`))
    throw new RunnerError(
      'DataContract',
      `${to}/ holds something else, ${key} for one: name an empty prefix, or take away what lies there`,
    );
  try {
    await store.put(keys.settings, canonicalJson(settings), { ifAbsent: true, contentType: 'application/json' });
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    const other = await readPackJson<PackSettings>(store, keys.settings);
    if (other) return requireSame(to, other, settings, false);
    throw error;
  }
  return { settings, done: false };
}

function requireSame(to: string, before: PackSettings, settings: PackSettings, done: boolean): PackBegun {
  if (canonicalJson(before) === canonicalJson(settings)) return { settings, done };
  const names = [...new Set([...Object.keys(before), ...Object.keys(settings)])] as (keyof PackSettings)[];
  const differ = names.filter((name) => canonicalJson(before[name]) !== canonicalJson(settings[name]));
  const shown = differ.map((name) => `${name} ${canonicalJson(before[name])}, now ${canonicalJson(settings[name])}`);
  throw new RunnerError(
    'DataContract',
    `${to}/ holds a pack of other settings (${shown.join('; ')}): name another prefix, or take away what lies there`,
  );
}
