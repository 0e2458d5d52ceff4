import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointSidecars } from '../../../src/checkpoint/hugging-face/config.ts';
import { tokenizerFolderFiles } from '../../../src/checkpoint/hugging-face/tokenizer.ts';
import { wordModel, words } from './added-tokens.ts';

// The folders that make_added_tokens.py reads: node --import tsx write-added-tokens.ts OUT
const out = process.argv[2]!;
for (const [name, model] of Object.entries({ plain: wordModel(), added: wordModel(words) })) {
  await mkdir(join(out, name), { recursive: true });
  for (const { path, content } of [...checkpointSidecars(model), ...(await tokenizerFolderFiles(model))])
    await writeFile(join(out, name, path), content);
}
await writeFile(join(out, 'words.json'), JSON.stringify(words));
