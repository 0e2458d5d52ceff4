import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

// Loaded before the trainer: its writes of snapshots fail as on a full disk; with `?while=FILE` only while that file
// exists.
const flag = new URL(import.meta.url).searchParams.get('while');
const open = fs.open;
fs.open = async (path, ...rest) => {
  const file = await open(path, ...rest);
  const write = file.write.bind(file);
  if (String(path).endsWith('.safetensors.part'))
    file.write = async (...written) => {
      if (flag && !existsSync(flag)) return write(...written);
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
  return file;
};
syncBuiltinESMExports();
