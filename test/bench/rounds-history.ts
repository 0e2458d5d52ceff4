import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import { deviceQueue } from '../../workflows/policies.ts';
import { activities } from '../workflows/fake-activities.ts';
import { runWideRounds, wideRounds } from '../workflows/wide-rounds.ts';
import { bundled } from '../workflows/workflow-bundle.ts';
import type { BenchOptions } from './arguments.ts';
import { benchmarks, isWanted } from './names.ts';
import type { Report } from './record.ts';
import { withFolder } from './temporary-folder.ts';

const name = 'rounds/history';
const run = 'bench-wide';

/**
 * A run in rounds, of slots whose trainers answer at once, over a real Temporal: how many events its histories have, and what a
 * round costs beside training. Times are of the whole run, by its rounds.
 */
export async function benchRoundsHistory({ only }: BenchOptions, report: Report): Promise<void> {
  for (const variant of benchmarks[name]) {
    if (!isWanted(only, name, variant)) continue;
    const [slots, rounds] = variant.split('x').map(Number) as [number, number];
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    await withFolder(async (folder) => {
      const services = await startServices({ folder, only: ['temporal'], ports: 'free', progress: createProgress() });
      const { address } = services.temporal!;
      const [connection, native] = [await Connection.connect({ address }), await NativeConnection.connect({ address })];
      try {
        const { activities: of, counted } = wideRounds(slots, rounds);
        const worker = { connection: native, activities: activities(of) };
        const light = await Worker.create({ ...worker, taskQueue: 'siglip2', workflowBundle: await bundled() });
        const device = await Worker.create({ ...worker, taskQueue: deviceQueue });
        const running = [light.run(), device.run()];
        const began = performance.now();
        const cpu = process.cpuUsage();
        const histories = await runWideRounds(new Client({ connection }), run);
        const ms = (performance.now() - began) / rounds;
        const { user, system } = process.cpuUsage(cpu);
        for (const each of [light, device]) each.shutdown();
        await Promise.all(running);
        if (counted.trained !== slots * rounds) throw new Error(`${counted.trained} slots were trained`);
        report({
          ...{ name, variant, ms_min: ms, ms_median: ms, runs: rounds },
          cpu_ms_median: (user + system) / 1000 / rounds,
          histories,
        });
      } finally {
        await connection.close();
        await native.close();
        await services.stop();
      }
    });
  }
}
