import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { JpegSize } from './jpeg-size.ts';
import type { Pixels } from './pixels.ts';

/**
 * JPEG by libjpeg-turbo itself. libvips makes the same bytes with the same library behind it, and takes three times as long:
 * it hands every line from thread to thread and allocates a picture several times. Beside vectors of a view that was the most
 * that a loader did.
 */
interface Library {
  open(kind: number): unknown;
  close(handle: unknown): void;
  set(handle: unknown, parameter: number, value: number): number;
  get(handle: unknown, parameter: number): number;
  header(handle: unknown, bytes: Uint8Array, length: number): number;
  decode(handle: unknown, bytes: Uint8Array, length: number, out: Uint8Array, pitch: number, format: number): number;
}

// turbojpeg.h of 3.1: TJINIT_DECOMPRESS, TJPF_RGB, and of TJPARAM those that are set or asked for.
const decompress = 1;
const rgb = 0;
const param = { stopOnWarning: 0, width: 5, height: 6, precision: 7, scanLimit: 13 } as const;
/** As libvips has it: a file of some kilobytes can ask for a picture to be gone over a thousand times. */
const mostScans = 100;
/** Baseline, extended and progressive, by Huffman. */
const frames = [0xc0, 0xc1, 0xc2];

let library: Library | null | undefined;

/** Null where there is none for this system: then libvips does it. */
function load(): Library | null {
  const { platform, arch } = process;
  if (platform !== 'linux') return null;
  const require = createRequire(import.meta.url);
  try {
    const own = dirname(require.resolve('@julusian/jpeg-turbo/package.json'));
    const file = join(own, 'prebuilds', `jpeg-turbo-${platform}-${arch}`, 'libturbojpeg.so.0');
    if (!existsSync(file)) return null;
    const turbo = (require('koffi') as typeof import('koffi')).load(file);
    return {
      open: turbo.func('void *tj3Init(int)'),
      close: turbo.func('void tj3Destroy(void *)'),
      set: turbo.func('int tj3Set(void *, int, int)'),
      get: turbo.func('int tj3Get(void *, int)'),
      header: turbo.func('int tj3DecompressHeader(void *, const uint8_t *, size_t)'),
      decode: turbo.func('int tj3Decompress8(void *, const uint8_t *, size_t, uint8_t *, int, int)'),
    };
  } catch {
    // Of another C library, or one of the packages is not there for it.
    return null;
  }
}

/**
 * A JPEG of grey or of colours, with the pixels in `room(bytes)`. Null for whatever is not whole and plain: a warning of the
 * decoder, another size than `size`, inks, arithmetic coding. What that comes to, and how it is told, is libvips' to say.
 */
export function decodeTurbo(
  bytes: Uint8Array,
  size: JpegSize,
  room: (bytes: number) => Uint8Array = (length) => new Uint8Array(length),
): Pixels | null {
  library ??= load();
  if (library === null) return null;
  if (!frames.includes(size.frame) || (size.components !== 1 && size.components !== 3)) return null;
  const handle = library.open(decompress);
  if (handle === null) return null;
  try {
    library.set(handle, param.stopOnWarning, 1);
    library.set(handle, param.scanLimit, mostScans);
    if (library.header(handle, bytes, bytes.length) !== 0) return null;
    const [width, height] = [library.get(handle, param.width), library.get(handle, param.height)];
    // It writes as much as it has found itself, so nothing else may say how much room there is.
    if (width !== size.width || height !== size.height || library.get(handle, param.precision) !== 8) return null;
    const data = room(width * height * 3);
    return library.decode(handle, bytes, bytes.length, data, 0, rgb) === 0 ? { width, height, data } : null;
  } finally {
    library.close(handle);
  }
}
