import { tokenizerOf } from '../../data/example/compacted.ts';
import { openSpeaker } from '../../model/decode-greedy.ts';
import { rowsOf } from '../../model/embed.ts';
import { patchesAt } from '../../model/features.ts';
import type { EvaluatorInput } from '../evaluators/contract.ts';
import type { PartExample } from '../features/part-file.ts';
import { seenPatches, viewName } from '../features/view.ts';
import { answersOf, type Question } from './asking.ts';
import { learnedDecoder } from './learned-file.ts';

/**
 * What a decoder that learned from frozen features says of every picture of the test set: for each the answers to what `ask`
 * gives of it, in their order. Features of a batch of pictures are in memory at a time.
 */
export async function answersFromFeatures(
  { test, learned, view, pause }: EvaluatorInput,
  depth: number,
  ask: (example: PartExample) => readonly string[],
): Promise<string[][]> {
  const { config, ids, values } = await learnedDecoder(learned!, test.config, { depth });
  const patches = config.vision.kind === 'naflex' ? view : patchesAt(config, view);
  const batch = rowsOf(patches);
  const speaker = openSpeaker(values, config, { depth }, { batch, patches });
  const tokenizer = tokenizerOf(ids);
  const name = `patches/${viewName(config, view)}`;
  const answers: string[][] = [];
  try {
    for (const part of test.parts) {
      const { examples } = part.facts;
      for (let first = 0; first < examples.length; first += batch) {
        const some = examples.slice(first, first + batch);
        const rows = Array.from(some, (_, i) => first + i);
        const seen = seenPatches(
          config,
          view,
          some.map(({ size }) => size!),
        );
        const questions = some.flatMap((example, picture) =>
          ask(example).map((given): Question => ({ picture, given })),
        );
        const looked = { encoded: await part.rows(name, rows), seen };
        const said = await answersOf(speaker, tokenizer, config.text.length, looked, questions, pause);
        const own: string[][] = some.map(() => []);
        for (const [i, { picture }] of questions.entries()) own[picture]!.push(said[i]!);
        answers.push(...own);
      }
    }
  } finally {
    speaker.dispose();
  }
  return answers;
}
