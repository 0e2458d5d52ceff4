import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Values } from '../../src/compile/definition.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState, writeState } from '../../src/train/state.ts';

/**
 * A phase in rounds as the fake trainer makes its steps, in one process, in memory, by plain loops: what every run must come
 * to that exchanges f32 with an outer rate of 1 and no momentum. It shares no line with what trains, writes and merges.
 *
 * @param rounds of each round its steps, its slots, and which of these are in
 * @returns the checkpoint's sha256 after each round, in the bytes of a plain phase
 */
export async function slowRounds(
  settings: PhaseSettings,
  rounds: readonly { readonly steps: number; readonly slots: number; readonly members: readonly number[] }[],
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'slow-rounds-'));
  let state = freshState(settings);
  let began = 0;
  const hashes: string[] = [];
  try {
    for (const { steps, slots, members } of rounds) {
      const lanes: number[][] = Array.from({ length: slots }, () => []);
      // Dealt one by one to know how many each has, then in one piece after the other.
      for (let i = 0; i < steps; i++) lanes[i % slots]!.push(0);
      let next = began;
      for (const lane of lanes) for (let i = 0; i < lane.length; i++) lane[i] = next++;
      const ends = members.map((slot) => {
        const own = Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.slice()]));
        for (const [i, batch] of lanes[slot]!.entries())
          step(own, batch, began + 1 + Math.floor((i * steps) / lanes[slot]!.length));
        return { own, weight: lanes[slot]!.length };
      });
      const total = ends.reduce((sum, { weight }) => sum + weight, 0);
      state = Object.fromEntries(
        Object.entries(state).map(([name, values]) => {
          const mean = new Float32Array(values.length);
          for (let i = 0; i < mean.length; i++) {
            // No member changed it: it is what it was. Where one did, all did: a step moves every number.
            let sum: number | null = null;
            for (const { own, weight } of ends) {
              const part = (weight / total) * own[name]![i]!;
              sum = sum === null ? part : sum + part;
            }
            mean[i] = sum!;
          }
          return [name, mean];
        }),
      ) as Values;
      began += steps;
      const { state: files } = await writeState(folder, settings, state);
      const lines = files
        .map(({ path, sha256 }) => `${sha256}  ${path}\n`)
        .sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
      hashes.push(createHash('sha256').update(lines.join('')).digest('hex'));
    }
    return hashes;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function step(state: Values, batch: number, place: number): void {
  for (const values of Object.values(state))
    for (let i = 0; i < values.length; i++)
      values[i] = Math.fround(0.9 * values[i]! + Math.sin(values[i]! + batch + 1) / (10 + place) + i * 1e-6);
}
