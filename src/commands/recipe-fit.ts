import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { peakBytes } from '../train/fits.ts';

/** How a step of a batch has room on a device. */
export interface Way {
  readonly accumulate: number;
  readonly remat: 'none' | 'blocks';
}

/** Each takes less than the one before, and longer. */
const waysOf = (batch: number): Way[] =>
  (['none', 'blocks'] as const).flatMap((remat) =>
    [1, 2, 4, 8, 16, 32, 64, 128]
      // Half of a batch, as NaFlex has it, is divided too.
      .filter((accumulate) => batch / accumulate >= 2)
      .map((accumulate) => ({ accumulate, remat })),
  );

/**
 * The first way that fits a device, with what it takes; of none that fits the leanest, with `way` null. Where the device is
 * not known the first of all does.
 */
export function fitted(
  batch: number,
  device: DeviceMemory | null,
  settingsOf: (way: Way) => PhaseSettings,
): { readonly way: Way | null; readonly bytes: number } {
  const ways = waysOf(batch);
  if (!device) return { way: ways[0]!, bytes: 0 };
  let bytes = 0;
  for (const way of ways) {
    bytes = peakBytes(settingsOf(way), device);
    if (bytes <= device.bytes) return { way, bytes };
  }
  return { way: null, bytes };
}
