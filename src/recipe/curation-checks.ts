import { superBatch } from './curation.ts';
import { naflexOf } from './durations.ts';
import type { Problem } from './problem.ts';
import { drawOf, templatesOf } from './reading.ts';
import type { DataSettings, Phase, Recipe } from './schema.ts';
import { dataOf, modelConfig, writtenModel } from './settings.ts';
import { dataOfSource } from './sources.ts';

/** Where a phase of active curation asks for what can't be had together. */
export function curations(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => (phase.curation ? ofPhase(recipe, phase, phase.curation, i) : []));
}

function ofPhase(recipe: Recipe, phase: Phase, curation: Phase['curation'] & {}, i: number): Problem[] {
  const problems: Problem[] = [];
  const add = (field: string, is: string, allowed: string, ...others: string[]) => {
    const at = `phases.${i}.${field}`;
    problems.push({ fields: [at, ...others], message: `${at} is ${is}; ${allowed}` });
  };
  const { teacher, filterRatio, chunks, scoring, scores } = curation;
  const earlier = recipe.phases.slice(0, i);
  if (typeof teacher === 'string' && !earlier.some(({ name }) => name === teacher)) {
    const names = earlier.map(({ name }) => name).join(', ');
    const allowed = names === '' ? 'a checkpoint of another run is allowed' : `an earlier phase is allowed: ${names}`;
    add('curation.teacher', `"${teacher}"`, allowed);
  }
  const candidates = superBatch(curation, phase.batch);
  if (candidates <= phase.batch)
    add(
      'curation.filterRatio',
      `${filterRatio}`,
      `one that leaves out at least one of the batch ${phase.batch} is allowed`,
      `phases.${i}.batch`,
    );
  if (chunks > phase.batch)
    add('curation.chunks', `${chunks}`, `at most the batch ${phase.batch} is allowed`, `phases.${i}.batch`);
  if (naflexOf(recipe, phase)) add('curation', 'given', 'a phase of NaFlex trains without it');
  for (const name of Object.keys(phase.objectives)) {
    if (name === 'sigmoid') continue;
    add(`objectives.${name}`, 'on', 'a phase with curation has sigmoid alone, as in the paper');
  }
  if (scores === 'hardLearner') return problems;
  if (scoring === 'stored') {
    const data = dataOf(recipe, phase);
    const { augment, mixture } = data;
    if (augment.shift > 0 || augment.scale.some((side) => side !== 1))
      add('data.augment', JSON.stringify(augment), `${same}; {"scale": [1, 1], "shift": 0} is allowed`, 'data.augment');
    if (!mixture) problems.push(...ofStored(data, 'captions', `phases.${i}.data`, 'data'));
    const at = phase.data?.mixture ? `phases.${i}.data` : 'data';
    for (const [j, source] of (mixture ?? []).entries()) {
      const { languages } = source;
      const own = { ...dataOfSource(data, source), ...(languages && { captions: languages }) };
      problems.push(...ofStored(own, languages ? 'languages' : 'captions', `${at}.mixture.${j}`));
    }
  } else if (typeof teacher === 'string') {
    const large = recipe.phases.find(({ name }) => name === teacher);
    const [own, its] = [phase, large].map((one) => lengthOf(recipe, one));
    if (own !== undefined && its !== undefined && own !== its)
      add('curation.scoring', '"online"', `texts of ${own} tokens, as the teacher's ${its}, or "stored" is allowed`);
  }
  return problems;
}

/** Of the texts that a phase reads, as far as the recipe says it. */
function lengthOf(recipe: Recipe, phase: Phase | undefined): number | undefined {
  const written = writtenModel(recipe, phase);
  const sized = written && (typeof written.vision.size === 'string' || written.text.size !== undefined);
  return sized ? modelConfig(recipe, null, phase).text.length : written?.text.length;
}

/** What is embedded once must be what is trained on. */
const same = 'with "scoring": "stored" each example has one image and one text a language';

/** What of data, or of a source, makes more than one text of an example. `at`: where it stands; `of`: or there. */
function ofStored(
  { labelShare, captions, read }: Pick<DataSettings, 'labelShare' | 'captions' | 'read'>,
  languages: 'captions' | 'languages',
  at: string,
  of?: string,
): Problem[] {
  const problems: Problem[] = [];
  const add = (field: string, is: string, allowed: string) => {
    const fields = [`${at}.${field}`, ...(of === undefined ? [] : [`${of}.${field}`])];
    problems.push({ fields, message: `${at}.${field} is ${is}; ${same}; ${allowed}` });
  };
  const draw = drawOf(read);
  if (templatesOf(read) || read?.fields?.some((_, field) => templatesOf(read, field)))
    add('read.templates', 'given', 'texts without templates are allowed');
  if ((read?.fields?.length ?? 0) > 1) add('read.fields', 'of several fields', 'one field is allowed');
  if (draw === 'one') add('read.draw', '"one"', '"first" is allowed');
  if (draw === 'joined' && labelShare !== 1) add('labelShare', `${labelShare}`, '1 is allowed');
  if (captions.some(({ language }) => language === 'other'))
    add(languages, 'with "other"', 'named languages are allowed');
  return problems;
}
