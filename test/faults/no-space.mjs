import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

// Loaded before the trainer: its writes of snapshots fail as on a full disk.
const open = fs.open;
fs.open = async (path, ...rest) => {
  const file = await open(path, ...rest);
  if (String(path).endsWith('.safetensors.part'))
    file.write = async () => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
  return file;
};
syncBuiltinESMExports();
