import type { Evaluator } from './contract.ts';
import { boxesInWords, pointingFigures } from './pointing.ts';
import { answeredRegions, withoutRegions, withoutRoom } from './said-of.ts';

/**
 * Referring expressions by the decoder that was trained with the model (LocCa, arXiv 2403.19596): it is given
 * `ARef : <expression> :` and says four numbers. Right is a box with an overlap over union of 0.5 (acc@0.5), as in RefCOCO.
 */
export const referring: Evaluator<Readonly<Record<never, never>>> = {
  needs: () => ({ truth: true, said: ['referring'] }),
  protocol: () => ({
    decoder: 'trained with the model, greedy, ARef : expression :',
    boxes: boxesInWords,
  }),
  async evaluate(input) {
    const { answered, without } = answeredRegions(input, 'referring');
    const { examples, config } = input.test;
    const notes = [...withoutRoom(answered, config.text.length), ...withoutRegions(without, examples.length)];
    return { ...pointingFigures(answered), notes };
  },
};
