import { batchAt } from '../../recipe/steps.ts';
import { produce } from '../../runtime/produce.ts';
import type { LoaderSettings } from './batches.ts';
import { makerOf } from './loader-maker.ts';
import { textsInThread } from './texts.ts';
import type { Piece } from './types.ts';

/** The thread of `openBatches`: makes the pieces of batches in order, or has their rows made by threads of its own. */
async function* pieces(settings: LoaderSettings, note: (text: string) => void): AsyncGenerator<Piece> {
  const { firstBatch, skip, bytes, threads } = settings;
  const { maker, close } = makerOf(settings, note, { threads, texts: textsInThread(settings.plan, note) });
  let fetching = false;
  // What goes wrong here goes wrong again, and is told, when the shard itself is needed.
  const fetchAhead = (batch: number, row: number) => {
    if (fetching) return;
    fetching = true;
    const done = () => {
      fetching = false;
    };
    maker.fetchAhead(batch, row).then(done, done);
  };
  function* batches(): Generator<number> {
    for (let position = firstBatch; ; position++) {
      const batch = batchAt(position, skip);
      fetchAhead(batch, 0);
      yield batch;
    }
  }
  try {
    for await (const piece of maker.allPieces(batches(), bytes)) {
      fetchAhead(piece.index, piece.first);
      yield piece;
    }
  } finally {
    await close();
  }
}

produce(pieces, ({ images, tokens, parts }) => [images, tokens, ...Object.values(parts)]);
