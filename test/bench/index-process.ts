import { readFileSync, writeFileSync } from 'node:fs';
import { ExampleOrder } from '../../src/data/batches/order.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { openIndex } from '../../src/data/index/open-index.ts';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';

/** What a process of its own measures, as a JSON argument. */
export interface IndexJob {
  readonly prefix: string;
  /** Local file of the run's document: `plan` writes it, `examples` reads it. */
  readonly file: string;
  /** Examples that are found in order; 0: it is planned; null: the token sets of its shards are joined. */
  readonly examples: number | null;
}

export interface IndexAnswer {
  readonly ms: number;
  /** Peak resident memory of the process, and what it had before. */
  readonly peak: number;
  readonly base: number;
  /** Examples, or token ids, and bytes of the document. */
  readonly examples: number;
  readonly bytes: number;
}

const { prefix, file, examples } = JSON.parse(process.argv[2]!) as IndexJob;
const store = objectStoreFromEnvironment();
const base = process.memoryUsage.rss();
const began = performance.now();
if (examples === 0) {
  const { document } = await indexData(store, prefix);
  writeFileSync(file, JSON.stringify(document));
}
const text = readFileSync(file, 'utf8');
const index = openIndex(JSON.parse(text), store);
let count = index.examples;
if (examples === null) count = (await collectTokenIds(store, index, ['en'])).length;
else {
  const order = new ExampleOrder(index, 1, 'pretrain');
  for (let k = 0; k < Math.max(1, examples); k++) {
    const { shard, example } = order.at(k);
    const { image } = (await index.entriesOf(shard)).at(example);
    if (image.size === 0) throw new Error(`example ${k} has no picture`);
  }
}
const answer: IndexAnswer = {
  ms: performance.now() - began,
  ...{ peak: process.resourceUsage().maxRSS * 1024, base },
  ...{ examples: count, bytes: Buffer.byteLength(text) },
};
process.stdout.write(`${JSON.stringify(answer)}\n`);
process.exit(0);
