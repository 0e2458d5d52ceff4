import { hasNvidiaDriver } from '../../src/runtime/device.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { variable } from '../../src/runtime/variables.ts';

/** Which build of TensorFlow a machine gets. */
export type DeviceKind = 'cpu' | 'cuda';

/** `SIGLIP2_DEVICE` (`cpu` or `gpu`) wins; otherwise the driver decides. */
export function deviceKind(env: NodeJS.ProcessEnv = process.env): DeviceKind {
  const wish = variable('SIGLIP2_DEVICE', env);
  if (wish && wish !== 'cpu' && wish !== 'gpu')
    throw new RunnerError('SetupMissing', `SIGLIP2_DEVICE is ${wish}; allowed are cpu and gpu, or unset it`);
  if (wish === 'cpu') return 'cpu';
  return wish === 'gpu' || hasNvidiaDriver() ? 'cuda' : 'cpu';
}
