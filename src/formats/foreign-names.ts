import type { NamedFigure, TaskResult } from './result.ts';

/** What CLIP_benchmark and datacomp call our figures; recall is named for what is looked for. */
const clipNames: Readonly<Record<string, string>> = {
  top1: 'acc1',
  top5: 'acc5',
  mean_per_class: 'mean_per_class_recall',
  'text_to_image.r': 'image_retrieval_recall@',
  'image_to_text.r': 'text_retrieval_recall@',
  'BLEU-1': 'Bleu_1',
  'BLEU-2': 'Bleu_2',
  'BLEU-3': 'Bleu_3',
  'BLEU-4': 'Bleu_4',
  'ROUGE-L': 'ROUGE_L',
};

/**
 * The figures of a result by CLIP_benchmark's names, those of its language alone; what it has no name for keeps ours. One name
 * has one figure: the first.
 */
export function clipFigures({ figures, language }: TaskResult): Record<string, number | null> {
  const found: Record<string, number | null> = {};
  for (const { name, value } of figures) {
    const parts = /^by_language\.([^.]+)\.(.+)$/.exec(name);
    if (parts && parts[1] !== language) continue;
    const own = clipName(parts?.[2] ?? name);
    if (!Object.hasOwn(found, own)) found[own] = value;
  }
  return found;
}

export function clipName(name: string): string {
  const recall = /^(text_to_image\.r|image_to_text\.r)(\d+)$/.exec(name);
  if (recall) return `${clipNames[recall[1]!]}${recall[2]}`;
  return Object.hasOwn(clipNames, name) ? clipNames[name]! : name;
}

/** The figure of a name, or null. */
export const figureOf = (figures: readonly NamedFigure[], name: string): number | null =>
  figures.find((figure) => figure.name === name)?.value ?? null;
