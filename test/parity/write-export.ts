import { writeExport } from './export-folder.ts';

const folder = process.argv[2];
if (folder === undefined)
  throw new Error('name the folder to write: node --import tsx test/parity/write-export.ts DIR');
await writeExport(folder);
