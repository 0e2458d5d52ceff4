import { countStoreUse } from '../../src/runtime/store-use.ts';

/** A thread that reads five times, and ends. */
for (let i = 0; i < 5; i++) countStoreUse({ reads: 1, writes: 0, readBytes: 100, writtenBytes: 0 });
