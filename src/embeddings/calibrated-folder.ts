import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../runtime/errors.ts';
import { isRecord, readJsonText } from '../runtime/json-text.ts';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import type { Calibration } from './calibrate.ts';

const begin = '<!-- calibration -->';
const end = '<!-- /calibration -->';
const weightsFile = 'model.safetensors';

/**
 * Writes a calibration into a model folder: `logit_scale` and `logit_bias` of its model.safetensors, `calibration.json`,
 * metrics.json where there is one, and a section of its card. All else stays, byte for byte, and so does the checkpoint in the bucket. Doing it again changes nothing,
 * and mends what a kill left half. RecipeInvalid where the folder can't be written so.
 */
export async function writeCalibration(folder: string, calibration: Calibration): Promise<void> {
  const places = await calibratedPlaces(folder);
  await replace(join(folder, 'calibration.json'), `${JSON.stringify(calibration, null, 2)}\n`);
  const weights = await open(join(folder, weightsFile), 'r+');
  try {
    const { logitScale, logitBias } = calibration.after;
    for (const [i, value] of [logitScale, logitBias].entries()) {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value);
      await weights.write(bytes, 0, 4, places[i]!);
    }
    await weights.sync();
  } finally {
    await weights.close();
  }
  const metrics = join(folder, 'metrics.json');
  const figures = readJsonText(Buffer.from((await textOf(metrics)) ?? '')).value;
  // Where the folder has figures, those that it was calibrated to are among them.
  if (isRecord(figures)) await replace(metrics, `${JSON.stringify({ ...figures, calibration }, null, 2)}\n`);
  const card = join(folder, 'README.md');
  await replace(card, withSection((await textOf(card)) ?? '', calibrationSection(calibration)));
}

/**
 * Where scale and bias stand in the weights of a model folder, in bytes. RecipeInvalid where a calibration can't be written
 * into it: whoever is going to compute one asks this first.
 */
export async function calibratedPlaces(folder: string): Promise<number[]> {
  const path = join(folder, weightsFile);
  const fail = (problem: string, cause?: unknown) =>
    new RunnerError('RecipeInvalid', `${folder} can't be calibrated: ${problem}`, { cause });
  const file = await SafetensorsFile.open(path).catch((cause) => {
    throw fail(
      'it has no model.safetensors that can be read; name a folder of pull, of export or of convert with one file of weights',
      cause,
    );
  });
  const places: number[] = [];
  try {
    for (const name of ['logit_scale', 'logit_bias']) {
      const info = file.tensors.get(name);
      if (info?.dtype !== 'F32' || info.bytes !== 4)
        throw fail(
          `its ${name} is ${info ? `${info.dtype} of ${info.bytes} bytes` : 'missing'}; allowed: one F32, as convert --dtype f32 writes it`,
        );
      places.push(info.offset);
    }
  } finally {
    await file.close();
  }
  return places;
}

const textOf = (path: string): Promise<string | null> =>
  readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });

/** Whole or not at all. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.part`, text, { flush: true });
  await rename(`${path}.part`, path);
}

function withSection(card: string, section: string): string {
  const own = `${begin}\n${section}${end}\n`;
  const [from, to] = [card.indexOf(begin), card.indexOf(end)];
  if (from >= 0 && to > from) return card.slice(0, from) + own + card.slice(to + end.length + 1);
  return `${card}${card === '' || card.endsWith('\n') ? '' : '\n'}\n${own}`;
}

/** For a model card: what was fitted on what, and from which cosine on a pair is right so often. */
export function calibrationSection({
  data,
  model,
  images,
  texts,
  share,
  before,
  after,
  thresholds,
}: Calibration): string {
  const number = (value: number, digits = 4) => value.toFixed(digits);
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  const rows = thresholds.map(({ wanted, threshold, between, precision, interval, recall, probability }) =>
    [
      percent(wanted),
      `${number(threshold)} (${number(between[0])} to ${between[1] === null ? 'none' : number(between[1])})`,
      percent(probability),
      `${percent(precision)} (${percent(interval[0])} to ${percent(interval[1])})`,
      percent(recall),
    ].join(' | '),
  );
  return `## Calibration

\`logit_scale\` and \`logit_bias\` were fitted to ${images} pictures and ${texts} texts of ${data.prefix} (fingerprint ${data.fingerprint.slice(0, 16)}),
all pairs, of which ${percent(share)} are right; the towers are those of ${model.name}. The sigmoid loss of a pair was ${number(before.loss, 6)} and is
${number(after.loss, 6)}: logit_scale ${number(before.logitScale)} became ${number(after.logitScale)}, logit_bias ${number(before.logitBias)} became ${number(after.logitBias)}.
${
  rows.length === 0
    ? ''
    : `
| wanted precision | cosine from which on (its interval) | probability there | precision (95 %, pairs as independent) | recall |
| --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join('\n')}
`
}`;
}
