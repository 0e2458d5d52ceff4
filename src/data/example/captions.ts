import { drawOf, filled, type ReadSettings, templatesOf } from '../../recipe/reading.ts';
import type { DataSettings } from '../../recipe/schema.ts';
import type { RandomStream } from '../../runtime/random.ts';
import { CorruptExample } from './corrupt-example.ts';
import type { ExampleMeta } from './types.ts';

export interface Caption {
  readonly text: string;
  readonly language: string;
  /** Whether it is the first caption alone, as it is written. */
  readonly plain: boolean;
  /** As the data has it, where `text` is a template with it. */
  readonly said?: string;
  /** That template. */
  readonly template?: string;
}

/**
 * The text that goes with an image this time: a language by weight among those that the example has, then by weight one of
 * the fields that have a text in it, where `read` names several. Of its texts one or the first, as `read.draw` says; of our
 * own JSON the label alone (`labelShare` of the time) or the label and its tags in random order. Last, one of the templates.
 * Throws `CorruptExample` when the example has no caption in any language of the recipe.
 *
 * @param random of the example and the epoch alone, so that any resume draws the same
 */
export function chooseCaption(
  meta: ExampleMeta,
  { captions: wanted, labelShare, read }: Pick<DataSettings, 'captions' | 'labelShare' | 'read'>,
  random: RandomStream,
): Caption {
  const language = chooseLanguage(meta, wanted, random);
  const { texts, field } = chooseField(meta, language, read, random);
  const drawn = chooseText(texts, drawOf(read), labelShare, random);
  const plain = drawn.plain && texts[0] === meta.captions[language]![0];
  const templates = templatesOf(read, field);
  if (!templates) return { text: drawn.text, language, plain };
  const template = templates[random.below(templates.length)]!;
  return { text: filled(template, drawn.text), language, plain: false, said: drawn.text, template };
}

/** Where the mapping names one field, or none, nothing is drawn. */
function chooseField(
  meta: ExampleMeta,
  language: string,
  read: ReadSettings | undefined,
  random: RandomStream,
): { readonly texts: readonly string[]; readonly field?: number } {
  const texts = meta.captions[language]!;
  const numbers = meta.fields?.[language];
  if (!numbers || !read?.fields) return { texts };
  const there = [...new Set(numbers)];
  const weightOf = (field: number) => read.fields![field]?.weight ?? 0;
  let point = random.next() * there.reduce((sum, field) => sum + weightOf(field), 0);
  const field =
    there.find((one) => {
      point -= weightOf(one);
      return point < 0;
    }) ?? there.at(-1)!;
  return { texts: texts.filter((_, i) => numbers[i] === field), field };
}

function chooseText(
  texts: readonly string[],
  draw: ReadSettings['draw'],
  labelShare: number,
  random: RandomStream,
): Pick<Caption, 'text' | 'plain'> {
  if (draw !== 'joined') {
    const drawn = draw === 'first' ? 0 : random.below(texts.length);
    return { text: texts[drawn]!, plain: drawn === 0 };
  }
  const [label, ...tags] = texts;
  if (random.next() < labelShare || tags.length === 0) return { text: label!, plain: true };
  for (let i = tags.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [tags[i], tags[j]] = [tags[j]!, tags[i]!];
  }
  return { text: [label, ...tags].join(', '), plain: false };
}

function chooseLanguage(meta: ExampleMeta, wanted: DataSettings['captions'], random: RandomStream): string {
  const named = new Set(wanted.map(({ language }) => language));
  const languagesOf = (language: string) =>
    language === 'other'
      ? // Object order is the order of the file; sorted, it depends on the content alone.
        Object.keys(meta.captions)
          .filter((own) => !named.has(own))
          .sort()
      : meta.captions[language]
        ? [language]
        : [];
  const choices = wanted
    .map(({ language, weight }) => ({ languages: languagesOf(language), weight }))
    .filter(({ languages }) => languages.length > 0);
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  let point = random.next() * total;
  for (const { languages, weight } of choices) {
    point -= weight;
    if (point < 0) return languages[random.below(languages.length)]!;
  }
  const last = choices.at(-1)?.languages[0];
  if (last !== undefined) return last;
  throw new CorruptExample(`no caption in ${wanted.map(({ language }) => language).join(', ')}`);
}
