import { isUtf8 } from 'node:buffer';
import { RunnerError } from '../../runtime/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';

/** Names of ten times as many classes as ImageNet-22k has. */
const largestFile = 8 * 1024 * 1024;

/** The names in a `classnames.txt`, one a line, blank lines left out (CLIP_benchmark), and the file that has them. */
export async function readClassnames(
  store: ObjectStore,
  key: string,
): Promise<{ classnames: readonly string[]; file: ObjectInfo }> {
  const fail = (problem: string) =>
    new RunnerError(
      'DataContract',
      `data: ${key} ${problem}; needed: a text file in bucket ${store.bucket} with the name of a class on each line`,
    );
  const file = await store.head(key);
  if (!file) throw fail('is not there');
  if (file.bytes > largestFile) throw fail(`has ${file.bytes} bytes, at most ${largestFile} are taken`);
  const body = await store.get(key, { etag: file.etag });
  if (!isUtf8(body)) throw fail('is not UTF-8');
  const classnames = body
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .split(/\r\n|[\r\n]/)
    .flatMap((line) => line.trim() || []);
  if (classnames.length === 0) throw fail('names no class');
  return { classnames, file };
}
