import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { importModel } from '../checkpoint/hugging-face/import-model.ts';
import { importPhase } from '../checkpoint/hugging-face/import-phase.ts';
import type { Adapter } from '../checkpoint/hugging-face/read-adapter.ts';
import { writeModelFolder } from '../checkpoint/hugging-face/write-folder.ts';
import { runNameProblem } from '../checkpoint/names.ts';
import { openModel } from '../checkpoint/open-model.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeOwnFolder } from '../runtime/make-folder.ts';
import { paths } from '../runtime/paths.ts';
import { codeVersion } from '../runtime/version.ts';
import type { EmbedOptions } from './embed.ts';
import { openStore } from './open-store.ts';
import { print } from './output.ts';

/** Models in the files of others: what comes in, what goes out, and what one makes of pictures and texts. */
export function addModelCommands(program: Command): void {
  program
    .command('import <source> <run>')
    .description(
      'put a Hugging Face folder or a big_vision .npz into the bucket, as a checkpoint that phases start from',
    )
    .option('--adapter <folder>', 'a LoRA adapter as peft saves it: it is added to the model, and kept beside it')
    .action(async (source: string, run: string, { adapter: folder }: { adapter?: string }) => {
      const problem = runNameProblem(run);
      if (problem !== null) throw new RunnerError('RecipeInvalid', problem);
      const attempt = `import-${randomBytes(4).toString('hex')}`;
      const made = { scratch: paths().scratch, codeVersion: codeVersion(), attempt };
      let next = '';
      const found = ({ lora }: Adapter) => {
        next = lora
          ? `and with the adapters where it has "lora": ${JSON.stringify(lora)}\n`
          : 'the adapters have become part of the model: no "lora" of a phase says such\n';
      };
      makeOwnFolder(made.scratch, 'SIGLIP2_SCRATCH');
      const added = folder === undefined ? {} : { adapter: { folder, found } };
      const { sha256 } = await importModel(await openStore(), source, run, { ...made, ...added });
      const from = JSON.stringify({ run, phase: importPhase });
      print(`${run}/${importPhase}@0, sha256 ${sha256}\na phase goes on from it with "from": ${from}\n${next}`);
    });

  program
    .command('convert <source> <folder>')
    .description('write a model folder or .npz as a Hugging Face folder of another type or file size')
    .option('--dtype <type>', 'number type: f32 or bf16', 'f32')
    .option('--max-shard-size <gigabytes>', 'split files that would be larger', '5')
    .addHelpText('after', '\nWhat the folder says of its processor and tokenizer stays as it is.')
    .action(
      async (source: string, folder: string, { dtype, maxShardSize }: { dtype: string; maxShardSize: string }) => {
        if (dtype !== 'f32' && dtype !== 'bf16')
          throw new RunnerError('RecipeInvalid', `--dtype is ${dtype}; allowed: f32, bf16`);
        const shardBytes = Number(maxShardSize) * 1e9;
        if (!(shardBytes > 0))
          throw new RunnerError('RecipeInvalid', `--max-shard-size is ${maxShardSize}; allowed: a number above 0`);
        const model = await openModel(source);
        try {
          await writeModelFolder(folder, model, {
            dtype,
            shardBytes,
            ...(!source.endsWith('.npz') && { from: source }),
          });
        } finally {
          await model.close();
        }
        print(`${folder} holds the model in ${dtype}\n`);
      },
    );

  program
    .command('embed')
    .description('compare images and texts with a model folder; --json prints the embeddings')
    .requiredOption('--model <folder>', 'folder of a pulled, exported or downloaded model')
    .option('--image <files...>', 'pictures to embed')
    .option('--text <texts...>', 'texts to embed')
    .option('--max-num-patches <count>', 'largest number of patches of an image, for NaFlex models')
    .option('--json', 'print JSON: image_embeds, text_embeds, logits_per_text')
    .addHelpText(
      'after',
      `
Pictures and texts are prepared as the files of the folder say, which is where the number of patches comes from too.
Transparency is dropped and colour profiles are not looked at, as by Pillow's convert('RGB').`,
    )
    .action(async (options: EmbedOptions & { maxNumPatches?: string; json?: boolean }) => {
      // The only command that computes: TensorFlow is loaded here.
      const { embed, formatEmbeddings } = await import('./embed.ts');
      const found = await embed({
        ...options,
        ...(options.maxNumPatches !== undefined && { patches: Number(options.maxNumPatches) }),
      });
      print(options.json ? `${JSON.stringify(found)}\n` : formatEmbeddings(found, options));
    });
}
