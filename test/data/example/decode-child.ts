import sharp from 'sharp';
import { decodeImage } from '../../../src/data/example/decode.ts';
import { decodeInTurn } from '../../../src/data/example/decode-in-turn.ts';
import { forgetPeak, memoryOf } from '../../bench/memory.ts';

/** Decodes six large pictures at once and prints how far the peak of the process rose, in bytes, and their widths. */
const decode = process.argv[2] === 'in turn' ? decodeInTurn : decodeImage;
const create = { width: 5000, height: 5000, channels: 3, background: '#0a0' } as const;
const bytes = await sharp({ create }).jpeg({ progressive: true, quality: 10 }).toBuffer();
const before = memoryOf('VmRSS')!;
forgetPeak();
const widths = await Promise.all(Array.from({ length: 6 }, () => decode(bytes).then(({ width }) => width)));
console.log(JSON.stringify({ beyond: memoryOf('VmHWM')! - before, widths, bytes: bytes.length }));
