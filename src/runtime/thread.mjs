// Threads of Node 20 can't start from a .ts file: without a compiled one, this loads tsx into itself first.
import { workerData } from 'node:worker_threads';
import { builtOf } from './built.mjs';

const built = builtOf(workerData.module);
if (!built) {
  const { register } = await import('tsx/esm/api');
  register();
}
await import(built ?? workerData.module);
