import { byBytes } from '../runtime/by-bytes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, isPicture } from './files.ts';

/** More folders are no classes. */
const mostClasses = 100_000;

/**
 * A folder a class, as ImageNet lies: `n01440764/x.JPEG`. Classes are numbered in the order of their folders' names, as
 * torchvision does; `folders` names them in another order, and then a picture of another folder can't be used. Two listings;
 * names of classes are held, none of pictures.
 */
export async function openImageFolder(
  files: Files,
  { below = '', folders }: { readonly below?: string; readonly folders?: readonly string[] } = {},
): Promise<Benchmark> {
  const own = (name: string) => (below === '' ? name : name.slice(below.length + 1));
  const found = new Set<string>();
  if (!folders)
    for await (const name of files.list(below)) {
      const slash = own(name).indexOf('/');
      if (slash > 0 && isPicture(name)) found.add(own(name).slice(0, slash));
      if (found.size > mostClasses)
        throw new RunnerError(
          'DataContract',
          `${files.where}/${below} has more than ${mostClasses} folders: they are no classes`,
        );
    }
  const classes = folders ?? [...found].sort(byBytes);
  if (classes.length === 0)
    throw new RunnerError('DataContract', `${files.where}/${below} has no folder with pictures; needed: one a class`);
  const numbers = new Map(classes.map((name, i) => [name, i]));
  return {
    classes,
    templates: null,
    notes: [],
    async *examples() {
      for await (const name of files.list(below)) yield exampleOf(name, own(name));
    },
  };

  function exampleOf(name: string, inner: string): Example | Fault {
    const fault = (reason: string) => ({ name: printable(name), fault: reason });
    const slash = inner.indexOf('/');
    if (!isPicture(name)) return fault('it is no picture');
    if (slash < 0) return fault('it lies in no folder of a class');
    const label = numbers.get(inner.slice(0, slash));
    return label === undefined
      ? fault(`its folder ${printable(inner.slice(0, slash))} is none of the ${numbers.size} classes`)
      : { name, picture: { file: name }, labels: [label] };
  }
}
