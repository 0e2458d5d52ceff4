import type { Box } from '../metrics/boxes.ts';
import { objectsIn } from '../packing/json-array.ts';
import { RunnerError } from '../runtime/errors.ts';
import { isRecord, readJsonText } from '../runtime/json-text.ts';
import type { Files } from './files.ts';

/** The objects in a list of a COCO document, one held at a time. Errors: DataContract, where the list is not there or breaks off. */
export async function* entries(files: Files, name: string, field: string): AsyncGenerator<Record<string, unknown>> {
  let count = 0;
  for await (const bytes of objectsIn(await files.stream(name), field)) {
    if (bytes === null)
      throw new RunnerError(
        'DataContract',
        `${files.where}/${name} breaks off after ${count} of "${field}", or has none; fetch it again`,
      );
    count++;
    const { value } = readJsonText(bytes, { nan: true });
    // What can't be read has no field: whoever looks for one says so.
    yield isRecord(value) ? value : {};
  }
}

/** A box with an area, or null. */
export function boxIn(value: unknown): Box | null {
  if (!Array.isArray(value) || value.length !== 4 || !value.every((side) => Number.isFinite(side))) return null;
  const [x, y, width, height] = value as [number, number, number, number];
  return width > 0 && height > 0 ? [x, y, width, height] : null;
}
