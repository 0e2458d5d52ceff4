import type { TokenizerRules } from '../data/example/tokenizer.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import {
  differencesFromTraining,
  type ImageProcessing,
  ownProcessing,
  readProcessor,
} from './hugging-face/read-processor.ts';
import { readTokenizer } from './hugging-face/read-tokenizer.ts';

/** What a model is shown of pictures and texts. */
export interface Processing {
  readonly images: ImageProcessing;
  readonly texts: TokenizerRules;
}

/** As the files of a folder say, followed or refused by name; an `.npz` has none, and is big_vision's. */
export async function processingOf(path: string, config: ModelConfig): Promise<Processing> {
  if (path.endsWith('.npz')) return { images: ownProcessing(config), texts: { lowerCase: true } };
  return { images: await readProcessor(path, config), texts: await readTokenizer(path, config) };
}

/** RecipeInvalid where training would show a model something else than its folder does. */
export function requireTrainable(path: string, config: ModelConfig, { images, texts }: Processing): void {
  const problems = [
    ...differencesFromTraining(config, images),
    ...(texts.lowerCase ? [] : ['its tokenizer does not lower-case texts, and training does']),
  ];
  if (problems.length === 0) return;
  throw new RunnerError(
    'RecipeInvalid',
    `${path} can't be trained as it is used: ${problems.join('; ')}; embed and convert follow it, and what its files say can be changed`,
  );
}
