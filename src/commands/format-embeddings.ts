import type { EmbeddingsReport } from '../../activities/types/embeddings.ts';
import type { Embeddings } from '../embeddings/manifest.ts';
import { counted } from '../runtime/count-text.ts';

/** What embeddings came to, and the line that asks them. */
export function formatEmbeddings(
  found: Pick<EmbeddingsReport, 'name' | 'model' | 'examples' | 'skipped' | 'texts' | 'width' | 'parts' | 'bytes'>,
): string {
  const { name, model, examples, skipped, texts, width, parts, bytes } = found;
  const said = Object.entries(texts).map(([language, count]) => `${counted(count, 'text')} in ${language}`);
  const lines = [
    `embeddings ${name}: ${[counted(examples, 'example'), ...said].join(', ')}, of width ${width}, by ${model}`,
    `  ${counted(parts, 'part')}, ${(bytes / 1e6).toFixed(1)} MB`,
    ...(skipped > 0 ? [`  ${counted(skipped, 'member')} could not be used`] : []),
    `look into them: npm run siglip2 -- search ${name} "a red car"`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Of embeddings that lie in the bucket. */
export const formatStored = ({ model, ...embeddings }: Embeddings): string =>
  formatEmbeddings({ ...embeddings, model: model.name });
