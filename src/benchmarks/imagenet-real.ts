import { RunnerError } from '../runtime/errors.ts';
import { readJsonText } from '../runtime/json-text.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, isPicture } from './files.ts';

const classes = 1000;

/**
 * ImageNet-ReaL: the pictures of ImageNet's validation set, flat or in folders, by the labels of google-research/reassessed-imagenet.
 * `real.json` lists those of ILSVRC2012_val_00000001 and on: several are right, and a picture with none counts in no figure.
 */
export async function openImagenetReal(files: Files, table = 'real.json'): Promise<Benchmark> {
  const { value, problem } = readJsonText(await files.read(table, 64 * 1024 * 1024));
  if (problem !== undefined || !Array.isArray(value))
    throw new RunnerError('DataContract', `${files.where}/${table} has to be a list of lists of numbers`);
  return {
    classes: null,
    templates: null,
    notes: [],
    async *examples() {
      for await (const name of files.list('')) if (name !== table) yield exampleOf(name);
    },
  };

  function exampleOf(name: string): Example | Fault {
    const fault = (reason: string): Fault => ({ name: printable(name), fault: reason });
    if (!isPicture(name)) return fault('it is no picture');
    const number = Number(/ILSVRC2012_val_(\d{8})\.[^/.]+$/.exec(name)?.[1] ?? 0);
    if (number === 0) return fault('its name is not of the form ILSVRC2012_val_00000001.JPEG');
    const labels = (value as unknown[])[number - 1];
    if (labels === undefined) return fault(`${table} has ${(value as unknown[]).length} entries`);
    const isLabel = (one: unknown) => Number.isInteger(one) && (one as number) >= 0 && (one as number) < classes;
    if (!Array.isArray(labels) || !labels.every(isLabel))
      return fault(`entry ${number} of ${table} is no list of numbers from 0 to ${classes - 1}`);
    return { name, picture: { file: name }, labels: labels as number[] };
  }
}
