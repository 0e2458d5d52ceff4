import { pipeline, Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, linesIn, listFile } from './files.ts';
import { readNpy } from './npy.ts';

const largestMember = 256 * 1024 * 1024;
const pictureKinds = ['webp', 'png', 'jpg', 'jpeg'];
type Kind = 'classification' | 'multilabel' | 'retrieval';

/**
 * The WebDataset layout of CLIP_benchmark and datacomp (`build_wds_dataset`): `SPLIT/nshards.txt`, `SPLIT/0.tar` and on,
 * `dataset_type.txt` (classification where there is none), `classnames.txt`, `zeroshot_classification_templates.txt`. Members of
 * one name are an example: a picture, and `.cls`, `.npy` (1 for each class that it has) or `.txt` (a caption a line).
 */
export async function openClipBenchmark(files: Files, split = 'test'): Promise<Benchmark> {
  const shards = Number((await files.read(`${split}/nshards.txt`, 64)).toString('latin1').trim());
  if (!Number.isInteger(shards) || shards < 1 || shards > 1_000_000)
    throw new RunnerError('DataContract', `${files.where}/${split}/nshards.txt has to say how many shards there are`);
  const said = (await listFile(files, 'dataset_type.txt'))?.[0]?.toLowerCase() ?? 'classification';
  const kind: Kind = said === 'retrieval' || said === 'multilabel' ? said : 'classification';
  const isRetrieval = kind === 'retrieval';
  const classes = isRetrieval ? null : await listFile(files, 'classnames.txt');
  const templates = isRetrieval ? null : await listFile(files, 'zeroshot_classification_templates.txt');
  return {
    classes,
    templates: templates?.filter((line) => line.includes('{c}')) ?? null,
    notes: [
      ...(said === kind ? [] : [`dataset_type.txt says "${printable(said)}", which is taken for classification`]),
      ...(classes ?? []).flatMap((name, i) => (name === '' ? [`class ${i} has no name`] : [])),
      ...(templates ?? []).flatMap((line, i) =>
        line.includes('{c}') ? [] : [`template ${i + 1} has no {c}, and is left out`],
      ),
      ...(!isRetrieval && !classes ? ['classnames.txt is not there: classes have no names'] : []),
      ...(!isRetrieval && !templates ? ['zeroshot_classification_templates.txt is not there'] : []),
    ],
    async *examples() {
      for (let shard = 0; shard < shards; shard++) {
        const name = `${split}/${shard}.tar`;
        for await (const group of groupsOf(files, name))
          yield exampleOf(`${name}/${group.name}`, group.members, kind, classes);
      }
    },
  };
}

interface Group {
  readonly name: string;
  readonly members: Map<string, Buffer>;
}

/** Members that follow one another and are called alike up to the first point of their file name. */
async function* groupsOf(files: Files, shard: string): AsyncGenerator<Group> {
  const tar = extract();
  // Either end takes the other along: a reader that stops leaves no file open.
  pipeline(Readable.from(await files.stream(shard)), tar, () => {});
  let group: Group | null = null;
  let members = 0;
  try {
    for await (const entry of tar) {
      members++;
      const { name, size = 0, type } = entry.header;
      if (type !== 'file' || size > largestMember) {
        if (type === 'file') throw new Error(`${printable(name)} has ${size} bytes`);
        entry.resume();
        continue;
      }
      const point = name.indexOf('.', name.lastIndexOf('/') + 1);
      const stem = point < 0 ? name : name.slice(0, point);
      if (group && group.name !== stem) {
        yield group;
        group = null;
      }
      group ??= { name: stem, members: new Map() };
      const parts: Buffer[] = [];
      for await (const part of entry) parts.push(part as Buffer);
      group.members.set(point < 0 ? '' : name.slice(point + 1).toLowerCase(), Buffer.concat(parts));
    }
  } catch (error) {
    // What the disk or the store says is no fault of the tar.
    if (isRunnerError(error) || (error as NodeJS.ErrnoException).code !== undefined) throw error;
    const said = printable((error as Error).message.split('\n')[0]!);
    throw new RunnerError(
      'DataContract',
      `${files.where}/${shard} is no whole tar behind member ${members}: ${said}; fetch it again`,
    );
  }
  if (group) yield group;
}

function exampleOf(
  name: string,
  members: ReadonlyMap<string, Buffer>,
  kind: Kind,
  classes: readonly string[] | null,
): Example | Fault {
  const fault = (reason: string): Fault => ({ name: printable(name), fault: reason });
  const bytes = pictureKinds.map((ending) => members.get(ending)).find((found) => found !== undefined);
  if (!bytes) return fault(`it has no picture; allowed: ${pictureKinds.join(', ')}`);
  const base = { name, picture: { bytes } };
  if (kind === 'retrieval') {
    const text = members.get('txt');
    if (!text) return fault('it has no .txt');
    const captions = linesIn(text.toString('utf8')).filter((line) => line.trim() !== '');
    return captions.length > 0 ? { ...base, captions: { en: captions } } : fault('its .txt has no caption');
  }
  const labels = kind === 'multilabel' ? severalLabels(members.get('npy')) : oneLabel(members.get('cls'));
  if ('fault' in labels) return fault(labels.fault);
  const wrong = labels.find((label) => classes !== null && label >= classes.length);
  if (wrong !== undefined) return fault(`its class is ${wrong}, and classnames.txt has ${classes!.length} names`);
  return { ...base, labels };
}

function oneLabel(bytes: Buffer | undefined): readonly number[] | { readonly fault: string } {
  if (!bytes) return { fault: 'it has no .cls' };
  const text = bytes.toString('latin1', 0, 40).trim();
  return /^\d{1,9}$/.test(text)
    ? [Number(text)]
    : { fault: `its .cls is "${printable(text)}", and has to be a number from 0` };
}

function severalLabels(bytes: Buffer | undefined): readonly number[] | { readonly fault: string } {
  if (!bytes) return { fault: 'it has no .npy' };
  const read = readNpy(bytes);
  if ('fault' in read) return read;
  if (read.shape.length !== 1)
    return { fault: `its .npy has the shape (${read.shape.join(', ')}), and has to be one row` };
  return [...read.values.entries()].flatMap(([label, is]) => (is > 0 ? [label] : []));
}
