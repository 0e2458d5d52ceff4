import type { Command } from 'commander';
import { print, say } from '../../src/commands/output.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';

/** What can be made beside the emoji, so many of each. */
const kinds = {
  scenes: 'also make this many scenes of several emoji, with boxes',
  masks: 'also make this many scenes with the class of each pixel, for evaluation',
  questions: 'also make this many scenes with boxes and questions for evaluators to learn from',
  strips: 'also make this many pictures that are longer than wide, of several emoji',
} as const;
type Kind = keyof typeof kinds;

/** `siglip2 dataset emoji`. */
export function addDatasetCommand(program: Command): void {
  const command = program.command('dataset <name>').description('make a data set in the bucket; the only one is emoji');
  for (const [kind, what] of Object.entries(kinds)) command.option(`--${kind} <count>`, what, '0');
  command
    .option(
      '--noise <share>',
      'also make a set of which this share is noise (wrong captions, copies, blank pictures), and a clean one for its teacher',
    )
    .action(async (name: string, { noise, ...asked }: Readonly<Record<Kind, string>> & { readonly noise?: string }) => {
      if (name !== 'emoji') throw new RunnerError('RecipeInvalid', `data set ${name} is not known; allowed: emoji`);
      for (const [option, count] of Object.entries(asked))
        if (!/^\d{1,6}$/.test(count))
          throw new RunnerError('RecipeInvalid', `--${option} is ${count}; allowed: a number of 0 to 999999`);
      await makeSets({
        scenes: Number(asked.scenes),
        masks: Number(asked.masks),
        questions: Number(asked.questions),
        strips: Number(asked.strips),
        noise: noise === undefined ? null : Number(noise),
      });
    });
}

async function makeSets({
  scenes,
  masks,
  questions,
  strips,
  noise,
}: Readonly<Record<Kind, number>> & { noise: number | null }) {
  // Drawing needs packages that only development installs; the other commands go without.
  const { makeEmojiDataset } = await import('./make.ts');
  const { makeNoisyEmojiDatasets } = await import('./noisy.ts');
  const store = objectStoreFromEnvironment();
  const sets = noise === null ? null : await makeNoisyEmojiDatasets(store, { log: say, noise });
  const made = await makeEmojiDataset(store, { log: say, scenes });
  const { train, heldOut, examples } = made;
  print(`${examples.train} pictures in ${train}, ${examples.heldOut} of a style of their own in ${heldOut}\n`);
  if (examples.scenes > 0) print(`${examples.scenes} scenes in ${made.scenes}\n`);
  const told = (what: string, set: { train: string; heldOut: string; examples: { train: number; heldOut: number } }) =>
    print(
      `${set.examples.train} ${what} in ${set.train}, ${set.examples.heldOut} of the other style in ${set.heldOut}\n`,
    );
  if (masks > 0) {
    const { makeMaskedScenes } = await import('./masks.ts');
    told('scenes with masks', await makeMaskedScenes(store, { log: say, scenes: masks }));
  }
  if (questions > 0) {
    const { makeAskedEmojiDataset } = await import('./asked.ts');
    told('scenes with questions', await makeAskedEmojiDataset(store, { log: say, scenes: questions }));
  }
  if (strips > 0) {
    const { heldOutStrips, makeEmojiStrips } = await import('./strips.ts');
    const long = await makeEmojiStrips(store, { log: say, strips });
    told('strips', { ...long, examples: { train: strips, heldOut: heldOutStrips } });
  }
  if (sets === null) return;
  const { noisy, curated } = sets;
  const kindsOfNoise = Object.entries(noisy.noise).map(([kind, count]) => `${count} ${kind}`);
  print(`${noisy.examples} pictures in ${noisy.train}, of them noise: ${kindsOfNoise.join(', ')}\n`);
  print(`${curated.examples} clean pictures in ${curated.train}\n`);
}
