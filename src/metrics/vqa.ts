import { type Figure, type Metric, ratio } from './figure.ts';

/** A question that was answered, and what people answer: ten answers in VQA. */
export interface AnsweredQuestion {
  readonly name: string;
  readonly answer: string;
  readonly answers: readonly string[];
}

/** Of so many answers three others can agree with what was said; below that no answer would be wholly right. */
const fewest = 4;

/**
 * `vqa`: an answer is right by a third for each person who gives it, up to 1, the mean over leaving one of them out (GT-Vision-Lab/VQA
 * `vqaEval.py`), of questions with four answers or more. `exact`: it is one of the answers, of all questions. Words are made
 * alike as there.
 */
export function vqa(): Metric<AnsweredQuestion> {
  return {
    width: 4,
    tally(one, sums) {
      const { vqa, exact } = rightness(one);
      if (vqa !== null) {
        sums[0]! += vqa;
        sums[1]!++;
      }
      sums[2]! += exact;
      sums[3]!++;
    },
    figures: (sums): Figure[] => [
      ...(sums[1]! > 0 ? [{ name: 'vqa', value: ratio(sums[0]!, sums[1]!), of: sums[1]! }] : []),
      { name: 'exact', value: ratio(sums[2]!, sums[3]!), of: sums[3]! },
    ],
  };
}

/** Of one question; `vqa` null where it has too few answers. */
export function rightness({ answer, answers }: AnsweredQuestion): {
  readonly vqa: number | null;
  readonly exact: number;
} {
  const plain = (text: string) => text.replace(/[\n\t]/g, ' ').trim();
  const given = answers.map(plain);
  // Where all people say the same, the tool compares texts as they are.
  const alike = new Set(given).size > 1 ? processed : (text: string) => text;
  const said = alike(plain(answer));
  const same = given.filter((one) => alike(one) === said).length;
  const others = given.length - same;
  const sum = same * Math.min(1, (same - 1) / 3) + others * Math.min(1, same / 3);
  const exact = given.some((one) => processed(one) === processed(plain(answer))) ? 1 : 0;
  return { vqa: given.length < fewest ? null : sum / given.length, exact };
}

const marks = [...';/[]"{}()=+\\_-><@`,?!'];

function processed(text: string): string {
  let found = text;
  for (const mark of marks) {
    const apart = text.includes(`${mark} `) || text.includes(` ${mark}`) || /\d,\d/.test(text);
    found = found.replaceAll(mark, apart ? '' : ' ');
  }
  let dots = 0;
  // It takes off 32 at most, since a flag stands where the number of replacements belongs.
  found = found.replace(/\.(?!\d)/g, (dot) => (dots++ < 32 ? '' : dot));
  return found
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => numbers.get(word) ?? word)
    .filter((word) => !articles.has(word))
    .map((word) => contractions.get(word) ?? word)
    .join(' ');
}

const articles = new Set(['a', 'an', 'the']);

const numbers = new Map(
  ['none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']
    .map((word, number) => [word, String(number)] as const)
    .concat([['zero', '0']]),
);

/** Its table as it is, odd pairs too, without what it maps to itself and words with capitals, which it never meets. */
const contractions: ReadonlyMap<string, string> = new Map(
  [
    "aint=ain't arent=aren't cant=can't couldve=could've couldnt=couldn't couldn'tve=couldn't've",
    "couldnt've=couldn't've didnt=didn't doesnt=doesn't dont=don't hadnt=hadn't hadnt've=hadn't've",
    "hadn'tve=hadn't've hasnt=hasn't havent=haven't hed=he'd hed've=he'd've he'dve=he'd've hes=he's howd=how'd",
    "howll=how'll hows=how's isnt=isn't itd=it'd itd've=it'd've it'dve=it'd've itll=it'll maam=ma'am",
    "mightnt=mightn't mightnt've=mightn't've mightn'tve=mightn't've mightve=might've mustnt=mustn't",
    "mustve=must've neednt=needn't notve=not've oclock=o'clock oughtnt=oughtn't ow's'at='ow's'at 'ows'at='ow's'at",
    "'ow'sat='ow's'at shant=shan't shed've=she'd've she'dve=she'd've shouldve=should've shouldnt=shouldn't",
    "shouldnt've=shouldn't've shouldn'tve=shouldn't've somebody'd=somebodyd somebodyd've=somebody'd've",
    "somebody'dve=somebody'd've somebodyll=somebody'll somebodys=somebody's someoned=someone'd",
    "someoned've=someone'd've someone'dve=someone'd've someonell=someone'll someones=someone's",
    "somethingd=something'd somethingd've=something'd've something'dve=something'd've somethingll=something'll",
    "thats=that's thered=there'd thered've=there'd've there'dve=there'd've therere=there're theres=there's",
    "theyd=they'd theyd've=they'd've they'dve=they'd've theyll=they'll theyre=they're theyve=they've twas='twas",
    "wasnt=wasn't wed've=we'd've we'dve=we'd've weve=we've werent=weren't whatll=what'll whatre=what're",
    "whats=what's whatve=what've whens=when's whered=where'd wheres=where's whereve=where've whod=who'd",
    "whod've=who'd've who'dve=who'd've wholl=who'll whos=who's whove=who've whyll=why'll whyre=why're whys=why's",
    "wont=won't wouldve=would've wouldnt=wouldn't wouldnt've=wouldn't've wouldn'tve=wouldn't've yall=y'all",
    "yall'll=y'all'll y'allll=y'all'll yall'd've=y'all'd've y'alld've=y'all'd've y'all'dve=y'all'd've youd=you'd",
    "youd've=you'd've you'dve=you'd've youll=you'll youre=you're youve=you've",
  ]
    .join(' ')
    .split(' ')
    .map((pair) => pair.split('=') as [string, string]),
);
