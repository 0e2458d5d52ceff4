import type { z } from 'zod';
import { givenFor } from '../decoder/asking.ts';
import { answersFromFeatures } from '../decoder/asking-features.ts';
import { learnedNotes } from '../decoder/learned-file.ts';
import type { Lesson } from '../decoder/lesson.ts';
import type { Evaluator } from './contract.ts';
import { boxesInWords, pointingFigures } from './pointing.ts';
import { regionsWith, withoutRegions, withoutRoom } from './said-of.ts';
import type { referringProbeSettings } from './settings.ts';

type Settings = z.infer<typeof referringProbeSettings>;

/** What the fingerprint says of a lesson. */
export const lessonText = ({ depth, steps, batch, learningRate, weightDecay, warmup }: Settings): string =>
  `${depth} layers, ${steps} steps of ${batch}, rate ${learningRate}, decay ${weightDecay}, warm-up ${warmup}, from scratch`;

/**
 * Referring expressions by a fresh decoder that cross-attends the frozen un-pooled features of the picture: 6 layers, from
 * scratch (arXiv 2502.14786, 3.4.1). How long it learns and at which rate is not published. Only the box counts in its loss.
 */
export const referringProbe: Evaluator<Settings> = {
  needs: () => ({ train: true, patches: true, truth: true }),
  protocol: (settings, seed) => ({
    decoder: `${lessonText(settings)}, seed ${seed}`,
    boxes: boxesInWords,
  }),
  lesson: (settings, { seed }): Lesson => ({ of: 'boxes', ...settings, languages: [], seed }),
  async evaluate(input, { depth }) {
    const said = await answersFromFeatures(input, depth, ({ truth }) =>
      (truth?.regions ?? []).map((region) => givenFor('referring', region)),
    );
    const { answered, without } = regionsWith(input.test, (picture) => said[picture]!);
    const { examples, config } = input.test;
    const notes = [
      ...(await learnedNotes(input.learned!, config.text.length)),
      ...withoutRoom(answered, config.text.length),
      ...withoutRegions(without, examples.length),
    ];
    return { ...pointingFigures(answered), notes };
  },
};
