import { join } from 'node:path';
import type { LeasedDevice } from '../activities/dependencies.ts';
import { pricedByDevice, pricesFromEnvironment } from './costs/prices.ts';
import { deviceMemory, deviceName } from './runtime/device-memory.ts';
import type { OneDevice } from './runtime/devices.ts';
import { log } from './runtime/log.ts';
import { paths } from './runtime/paths.ts';
import type { TrainerLog } from './trainer/child.ts';
import { trainerVariables } from './trainer/environment.ts';
import { createTrainerProcess } from './trainer/process.ts';
import { FirstStep } from './worker-life/first-step.ts';

/**
 * A trainer for each device, none of which is started yet, with what is known of its device.
 * @param libraries what a trainer needs of them in its environment
 */
export function openDevices(
  devices: readonly OneDevice[],
  libraries: Readonly<Record<string, string>>,
): Promise<LeasedDevice[]> {
  return Promise.all(
    devices.map(async ({ name, kind, lock, env, cpu }): Promise<LeasedDevice> => {
      const firstStep = new FirstStep();
      const seen = { ...process.env, ...env };
      const memory = await deviceMemory(kind, seen);
      return {
        name,
        firstStep,
        trainer: createTrainerProcess({
          lockFile: join(paths().state, `${lock}.lock`),
          log: logOn(name),
          env: { ...trainerVariables(), ...libraries, ...env },
        }),
        prices: pricesFromEnvironment(pricedByDevice() ? await deviceName(kind, seen) : null),
        ...(memory && { memory: { ...memory, trainers: devices.length } }),
        ...(cpu && { cpu }),
      };
    }),
  );
}

const logOn = (on: string): TrainerLog => ({
  info: (fields, line) => log.info({ ...fields, on }, line),
  warn: (fields, line) => log.warn({ ...fields, on }, line),
});

/** The memory of the smallest of them: a phase may be trained on any. */
export const smallestMemory = (devices: readonly Pick<LeasedDevice, 'memory'>[]): LeasedDevice['memory'] =>
  devices.flatMap(({ memory }) => memory ?? []).sort((a, b) => a.bytes - b.bytes)[0];
