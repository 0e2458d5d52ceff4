import { join } from 'node:path';
import { writeModelFolder } from '../../../src/checkpoint/hugging-face/write-folder.ts';
import { openModel } from '../../../src/checkpoint/open-model.ts';
import { cases, writeCases } from './processing-table.ts';

const folder = process.argv[2];
if (folder === undefined)
  throw new Error('name a folder: node --import tsx test/checkpoint/hugging-face/write-processing.ts DIR');
await writeCases(folder);
for (const i of cases.keys()) {
  const from = join(folder, 'before', `${i}`);
  const model = await openModel(from);
  await writeModelFolder(join(folder, 'after', `${i}`), model, { dtype: 'f32', shardBytes: 5e9, from });
  await model.close();
}
