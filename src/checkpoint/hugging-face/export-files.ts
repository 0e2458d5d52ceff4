import type { ModelConfig } from '../../model/sizes.ts';
import { checkpointSidecars, type FolderFile } from './config.ts';
import { evalResultsFiles } from './eval-results.ts';
import { type ModelCardFacts, modelCard } from './model-card.ts';
import { tokenizerFolderFiles } from './tokenizer.ts';

/**
 * Everything of an exported folder but `model.safetensors`, which is the checkpoint's, byte for byte. `AutoModel`,
 * `AutoProcessor` and `AutoTokenizer` of transformers load the folder as it is.
 */
export async function exportFiles(config: ModelConfig, facts: ModelCardFacts): Promise<FolderFile[]> {
  const { run, phase, step, checkpointSha256: sha256, evaluations = [] } = facts;
  return [
    ...checkpointSidecars(config),
    ...(await tokenizerFolderFiles(config)),
    modelCard(config, facts),
    ...evalResultsFiles(evaluations, { model: `${run}/${phase}@${step}`, sha256 }),
  ];
}
