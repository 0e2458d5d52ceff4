// Threads of Node 20 can't start from a .ts file: this one loads tsx into itself first.
import { workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
await import(workerData.module);
