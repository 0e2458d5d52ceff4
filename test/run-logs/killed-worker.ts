import { RunLogs } from '../../src/run-logs/run-logs.ts';
import { place, speaker } from './fixture.ts';

/** A worker whose bucket takes nothing, and which kills itself in the middle: SIGKILL, as kill -9 and the kernel send it. */
const put = () => new Promise<never>(() => {});
const store = { put, get: put, purge: put, async *list() {} };
const logs = (await RunLogs.open({ store, folder: process.argv[2]!, code: '1.2.3', say() {} }))!;
const log = logs.at(place, speaker);
for (let i = 1; i <= 5; i++) log.say('info', { step: i }, `line ${i}`);
log.hear('warn', {}, 'the last words');
process.kill(process.pid, 'SIGKILL');
