import { captionTexts } from '../../data/example/caption-texts.ts';
import { boxText, type Region } from '../../data/example/regions.ts';
import { loadTokenizer } from '../../data/example/tokenizer.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { Said } from '../features/part-file.ts';
import { viewName } from '../features/view.ts';
import type { EvaluatorInput } from './contract.ts';

/** A region of a picture, with what the decoder says where it is asked of it. */
export interface Answered {
  /** Number of the picture. */
  readonly picture: number;
  readonly name: string;
  /** Key of the shard that the picture lies in, and its name there. */
  readonly shard: string;
  readonly member: string;
  readonly region: Region;
  readonly answer: string;
}

/** What the decoder says of each picture at the view; pictures of a part that was made without it have nothing. */
export const saidOf = ({ test, view }: Pick<EvaluatorInput, 'test' | 'view'>): Said[] =>
  test.examples.map(({ said }) => said?.[viewName(test.config, view)] ?? {});

/** Every region of every picture with what the model's own decoder says, and how many pictures have none. */
export function answeredRegions(input: Pick<EvaluatorInput, 'test' | 'view'>, task: 'referring' | 'grounded') {
  const said = saidOf(input);
  return regionsWith(input.test, (picture) => said[picture]![task]!);
}

/** The same of what any decoder says: of a picture, by the order of its regions. */
export function regionsWith(
  { examples }: Pick<FeatureSet, 'examples'>,
  said: (picture: number) => readonly string[],
): { readonly answered: Answered[]; readonly without: number } {
  const answered = examples.flatMap(({ shard, name, truth }, picture) =>
    (truth?.regions ?? []).map(
      (region, i): Answered => ({
        ...{ picture, name: `${shard} ${name}`, shard, member: name },
        ...{ region, answer: said(picture)[i]! },
      }),
    ),
  );
  return { answered, without: examples.filter(({ truth }) => (truth?.regions ?? []).length === 0).length };
}

/** What is said of expressions whose true box does not fit behind them: training leaves such out. */
export function withoutRoom(answered: readonly Answered[], length: number): string[] {
  const tokenizer = loadTokenizer();
  const cut = answered.filter(({ region }) => {
    const { text } = captionTexts('', { caption: region.caption, box: boxText(region) }, 'both').referring!;
    return tokenizer.ids(text, length).length >= length;
  });
  return cut.length > 0
    ? [`${cut.length} of ${answered.length} expressions leave no room for their box in the ${length} tokens of a text`]
    : [];
}

/** What is said of pictures without regions, where there are some. */
export const withoutRegions = (without: number, of: number): string[] =>
  without > 0 ? [`${without} of ${of} pictures have no regions: nothing was asked of them`] : [];
