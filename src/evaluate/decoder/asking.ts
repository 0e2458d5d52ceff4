import { captionTexts } from '../../data/example/caption-texts.ts';
import { boxOf, boxSteps, boxText, type Region } from '../../data/example/regions.ts';
import { eosId, type TextTokenizer } from '../../data/example/tokenizer.ts';
import type { Asked, Looked, Speaker } from '../../model/decode-greedy.ts';
import type { CaptionTask } from '../../recipe/caption-tasks.ts';

/** A text of a picture whose beginning is given. */
export interface Question {
  readonly picture: number;
  readonly given: string;
}

/** What the decoder is given for a task, the words that training has it begin with. */
export const givenFor = (task: CaptionTask, region?: Region): string =>
  captionTexts('', region ? { caption: region.caption, box: boxText(region) } : null, 'second')[task]!.given;

/**
 * What a decoder says after what is given to it. One that leaves no room for an answer is answered by nothing: in training it
 * is left out. Cost: as `openSpeaker`; the patches of a picture are projected once more for every text of it.
 *
 * @param tokenizer of the decoder's own rows; its end is 1 in every vocabulary
 * @param length tokens of a text
 */
export async function answersOf(
  speaker: Speaker,
  tokenizer: TextTokenizer,
  length: number,
  pictures: Looked,
  questions: readonly Question[],
  pause: () => Promise<void>,
): Promise<string[]> {
  const asked = questions.map(({ picture, given }): Asked => ({ picture, given: tokenizer.ids(given, length) }));
  const fits = [...asked.keys()].filter((i) => asked[i]!.given.length < length);
  const said = await speaker.say(
    pictures,
    fits.map((i) => asked[i]!),
    eosId,
    pause,
  );
  const answers = new Array<string>(questions.length).fill('');
  for (const [k, i] of fits.entries()) {
    const own = said[k]!.slice(asked[i]!.given.length);
    answers[i] = tokenizer.text(own).trim();
  }
  return answers;
}

/** The box that four whole numbers of 0 to 500 name, top left bottom right; null for whatever else was said. */
export function boxIn(said: string): Region['box'] | null {
  const sides = said.trim().split(/\s+/);
  if (!sides.every((side) => /^\d{1,3}$/.test(side))) return null;
  return boxOf(sides.map((side) => Number(side) / boxSteps));
}
