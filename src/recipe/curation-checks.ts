import { superBatch } from './curation.ts';
import { naflexOf } from './durations.ts';
import type { Problem } from './problem.ts';
import { drawOf, templatesOf } from './reading.ts';
import type { Phase, Recipe } from './schema.ts';
import { dataOf, writtenModel } from './settings.ts';

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
  const { augment, labelShare, captions, read, mixture } = dataOf(recipe, phase);
  const draw = drawOf(read);
  if (scoring === 'stored' && mixture) {
    const field = phase.data?.mixture ? `phases.${i}.data.mixture` : 'data.mixture';
    add(
      'curation.scoring',
      '"stored"',
      `of a mixture, whose sources are read each in its own way, "online" is allowed`,
      field,
    );
  } else if (scoring === 'stored') {
    // What is embedded once must be what is trained on.
    const same = 'with "scoring": "stored" each example has one image and one text a language';
    if (augment.shift > 0 || augment.scale.some((side) => side !== 1))
      add('data.augment', JSON.stringify(augment), `${same}; {"scale": [1, 1], "shift": 0} is allowed`, 'data.augment');
    if (templatesOf(read) || read?.fields?.some((_, field) => templatesOf(read, field)))
      add('data.read.templates', 'given', `${same}; texts without templates are allowed`, 'data.read.templates');
    if ((read?.fields?.length ?? 0) > 1)
      add('data.read.fields', 'of several fields', `${same}; one field is allowed`, 'data.read.fields');
    if (draw === 'one') add('data.read.draw', '"one"', `${same}; "first" is allowed`, 'data.read.draw');
    if (draw === 'joined' && labelShare !== 1)
      add('data.labelShare', `${labelShare}`, `${same}; 1 is allowed`, 'data.labelShare');
    if (captions.some(({ language }) => language === 'other'))
      add('data.captions', 'with "other"', `${same}; named languages are allowed`, 'data.captions');
  } else if (typeof teacher === 'string') {
    const large = recipe.phases.find(({ name }) => name === teacher);
    const [own, its] = [phase, large].map((one) => writtenModel(recipe, one)?.text.length);
    if (own !== undefined && its !== undefined && own !== its)
      add('curation.scoring', '"online"', `texts of ${own} tokens, as the teacher's ${its}, or "stored" is allowed`);
  }
  return problems;
}
