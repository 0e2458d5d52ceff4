import { captionFigures } from './caption-figures.ts';
import type { Evaluator } from './contract.ts';
import { answeredRegions, withoutRegions } from './said-of.ts';

/**
 * Grounded captioning by the decoder that was trained with the model (LocCa): it is given `GCap: <box> :` and says what is
 * there. Each region counts as a picture of its own with one reference.
 */
export const grounded: Evaluator<Readonly<Record<never, never>>> = {
  needs: () => ({ truth: true, said: ['grounded'] }),
  protocol: () => ({
    decoder: 'trained with the model, greedy, GCap: box :',
    captions: 'pycocoevalcap, each region a picture; exact: equal words',
  }),
  async evaluate(input) {
    const { answered, without } = answeredRegions(input, 'grounded');
    const said = answered.map(({ picture, name, region, answer }) => ({
      picture,
      name,
      answer,
      references: [region.caption],
    }));
    const { figures, outcomes } = await captionFigures(said, input.pause);
    return {
      figures: { regions: answered.length, ...figures },
      outcomes,
      notes: withoutRegions(without, input.test.examples.length),
    };
  },
};
