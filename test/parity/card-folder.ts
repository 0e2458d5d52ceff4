import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportFiles } from '../../src/checkpoint/hugging-face/export-files.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors.ts';
import { modelOfCase, type ProcessingCase, picture } from '../checkpoint/hugging-face/processing-table.ts';
import { tinyTensors } from '../checkpoint/hugging-face/tiny-folder.ts';

export const kinds = ['fixed', 'naflex'] as const;

/** Writes an export whose texts have fewer than 64 tokens, with the picture that the model card's example opens. */
export async function writeCardFolder(folder: string, kind: ProcessingCase['kind']): Promise<void> {
  await mkdir(folder, { recursive: true });
  const model = modelOfCase(kind);
  const facts = {
    ...{ run: 'card', phase: 'pretrain', step: 0, examples: 0, evaluation: null },
    ...{ checkpointUri: 's3://bucket/runs/card', checkpointSha256: '0'.repeat(64), codeVersion: 't', recipeHash: 't' },
    data: { train: 'none', evaluation: null, fingerprint: 'none', licences: null },
  };
  for (const { path, content } of await exportFiles(model, facts)) await writeFile(join(folder, path), content);
  await writeSafetensors(join(folder, 'model.safetensors'), tinyTensors(model));
  await copyFile(picture('plain.png'), join(folder, 'image.png'));
}

/** The example of a model card. */
export const snippetOf = (card: string): string => /```python\n(.*?)```/s.exec(card)![1]!;
