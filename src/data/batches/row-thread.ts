import sharp from 'sharp';
import { answer } from '../../runtime/answer.ts';
import { takeTurnsBy } from '../example/decode-in-turn.ts';
import { makerOf } from './loader-maker.ts';
import type { RowThreadSettings, WantedRows } from './row-threads.ts';
import type { UntoldStrip } from './strip.ts';

/** A thread of `RowThreads`: makes the rows that it is asked for. */
answer<RowThreadSettings, WantedRows, UntoldStrip>(
  ({ loader, turns }, note) => {
    takeTurnsBy(turns);
    sharp.concurrency(1);
    sharp.cache(false);
    const { maker } = makerOf(loader, note, { threads: 1, texts: null });
    return ({ batch, from, count }) => maker.untold(batch, from, count);
  },
  ({ images, parts }) => [images, ...Object.values(parts)],
);
