import { type Command, Option } from 'commander';
import { tasks } from '../recipe/tasks.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { print, say } from './output.ts';
import { newRecipe } from './recipe-new.ts';

interface Options {
  readonly task: string;
  readonly from: string;
  readonly data: string;
  readonly evaluation?: string;
  readonly resolution?: string;
  readonly teacher?: string;
  readonly gpuMemory?: string;
}

/** @param deviceOf what `--gpu-memory` says, or what this machine trains on */
export function addRecipeCommand(
  program: Command,
  deviceOf: (gpuMemory?: string) => Promise<DeviceMemory | null>,
): void {
  const recipe = program.command('recipe').description('recipes for what people do with a released model');
  recipe
    .command('new')
    .description(
      'print a recipe for a task that fits a model, its data and a device; why it is so goes to standard error',
    )
    .addOption(
      new Option('--task <task>', 'what is done with the model').choices(Object.keys(tasks)).makeOptionMandatory(),
    )
    .requiredOption('--from <run>', 'what import made: RUN, or any RUN/PHASE or RUN/PHASE@STEP')
    .requiredOption('--data <prefix>', 'where the shards to train on lie in the bucket')
    .option('--evaluation <prefix>', 'shards that are never trained on')
    .option('--resolution <pixels>', 'with --task resolution: side of the larger pictures, a multiple of the patch')
    .option('--teacher <run>', 'with --task distill: the larger model that chooses examples, named as in --from')
    .option('--gpu-memory <gigabytes>', 'memory of the GPU that will train; by default, what this machine trains on')
    .action(async ({ gpuMemory, ...asked }: Options) => {
      const device = await deviceOf(gpuMemory);
      const { recipe, notes } = await newRecipe({ ...asked, device, open: objectStoreFromEnvironment });
      for (const note of notes) say(note);
      print(`${JSON.stringify(recipe, null, 2)}\n`);
    });
}
