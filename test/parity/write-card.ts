import { join } from 'node:path';
import { kinds, writeCardFolder } from './card-folder.ts';

const folder = process.argv[2];
if (folder === undefined)
  throw new Error('name the folder to write to: node --import tsx test/parity/write-card.ts DIR');
for (const kind of kinds) await writeCardFolder(join(folder, kind), kind);
