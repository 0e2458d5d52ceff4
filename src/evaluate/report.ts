import { RunnerError } from '../runtime/errors.ts';
import type { Embeddings } from './concept-places.ts';
import type { Evaluator } from './evaluator.ts';
import type { Pause } from './numbers/pause.ts';
import { retrieval } from './retrieval.ts';
import { zeroShot } from './zero-shot.ts';

/** Figures of zero-shot classification; the shares are absent when nothing has a text in the language. */
export interface ZeroShotFigures {
  readonly classes: number;
  readonly examples: number;
  readonly left_out: number;
  readonly top1?: number;
  readonly top5?: number;
  readonly chance?: number;
  readonly times_chance?: number;
}

export interface RecallFigures {
  readonly r1: number;
  readonly r5: number;
  readonly r10: number;
  readonly chance_r1: number;
}

export interface RetrievalFigures {
  readonly images: number;
  readonly texts: number;
  readonly left_out: number;
  readonly image_to_text?: RecallFigures;
  readonly text_to_image?: RecallFigures;
}

type ByLanguage<T> = { readonly language: string; readonly by_language: Readonly<Record<string, T>> };

/** Small JSON. The figures at the top are those of `language`: the first that was asked for and has texts. */
export interface EvaluationReport {
  readonly zero_shot: Required<ZeroShotFigures> & ByLanguage<ZeroShotFigures>;
  readonly retrieval: Required<RetrievalFigures> & ByLanguage<RetrievalFigures>;
}

/**
 * Runs every evaluator in every language. `ofImages`: by language the captions of single images, `concepts` being the places
 * of these among `images`, where retrieval is to take them and not the texts of concepts. DataContract when no language has a text for any image.
 */
export async function evaluateEmbeddings(
  images: Embeddings,
  textsByLanguage: Readonly<Record<string, Embeddings>>,
  pause: Pause = async () => {},
  ofImages: Readonly<Record<string, Embeddings>> = {},
): Promise<EvaluationReport> {
  const byPlace = { ...images, concepts: images.concepts.map((_, i) => i) };
  const classification: Record<string, ZeroShotFigures> = {};
  const search: Record<string, RetrievalFigures> = {};
  for (const [language, texts] of Object.entries(textsByLanguage)) {
    const input = { images, texts };
    classification[language] = (await figures(zeroShot(input, pause))) as unknown as ZeroShotFigures;
    const shown = ofImages[language] ? { images: byPlace, texts: ofImages[language] } : input;
    search[language] = (await figures(retrieval(shown, pause))) as unknown as RetrievalFigures;
  }
  const languages = Object.keys(textsByLanguage);
  const language = languages.find((name) => classification[name]!.examples > 0);
  if (language === undefined) {
    throw new RunnerError(
      'DataContract',
      `evaluate.languages is ${languages.join(', ')}, and none of the ${images.concepts.length} examples has a caption ` +
        'in any of them; name a language that the captions of the evaluation data have',
    );
  }
  return {
    zero_shot: {
      language,
      ...(classification[language] as Required<ZeroShotFigures>),
      by_language: classification,
    },
    retrieval: { language, ...(search[language] as Required<RetrievalFigures>), by_language: search },
  };
}

interface Figures {
  [name: string]: number | Figures;
}

/** Metrics as a JSON object; a / in a name opens an object within. */
async function figures(metrics: ReturnType<Evaluator>): Promise<Figures> {
  const result: Figures = {};
  for await (const { name, value } of metrics) {
    const path = name.split('/');
    const last = path.pop()!;
    let at = result;
    for (const part of path) {
      at[part] ??= {};
      at = at[part] as Figures;
    }
    at[last] = value;
  }
  return result;
}
