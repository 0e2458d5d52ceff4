import type { RecipeData } from '../data/example/recipe-data.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type DataFacts, modelConfig, phaseSettings, writtenModel } from '../recipe/settings.ts';
import { phaseSpans } from '../recipe/spans.ts';
import { trainedSettings } from '../recipe/trained-settings.ts';
import { cpuHasBfloat16 } from '../runtime/bfloat16.ts';
import { counted } from '../runtime/count-text.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { memoryNote } from '../train/fits.ts';

/** What transformers' zero-shot pipeline and the processor of NaFlex pad texts to. */
const pipelineLength = 64;

/** What can be trained, and is seldom meant. */
export function notesOf(
  recipe: Recipe,
  facts: DataFacts | null,
  data: RecipeData | null,
  memory: DeviceMemory | null,
): string[] {
  const notes: string[] = [];
  const others = new Set<number>();
  const spans = recipe.evaluate.earlyStopping ? phaseSpans(recipe, facts ?? {}) : [];
  for (const phase of recipe.phases) {
    const examples = data?.of(phase).examples ?? Number.POSITIVE_INFINITY;
    if (phase.batch > examples)
      notes.push(
        `phase ${phase.name}: a batch of ${phase.batch} holds each of its ${counted(examples, 'example')} ${(phase.batch / examples).toFixed(1)} times`,
      );
    const { branches = [], to } = spans[recipe.phases.indexOf(phase)] ?? {};
    if (to && branches.includes(to.step))
      notes.push(
        `phase ${phase.name}: evaluate.earlyStopping does not end it before step ${to.step}, since another phase begins there`,
      );
    if (!writtenModel(recipe, phase)) continue;
    const { vision, text } = modelConfig(recipe, null, phase);
    const { patch, resolution, kind } = vision;
    const { addedTokens = [] } = text;
    const own = phase.text?.addedTokens?.length ?? 0;
    if (addedTokens.length > 0)
      notes.push(
        `phase ${phase.name}: its model has ${counted(addedTokens.length, 'added token')}, ${own === 0 ? 'none' : own} of them new, and a table of ${text.vocabulary} rows`,
      );
    if (text.length !== pipelineLength) others.add(text.length);
    if (kind !== 'naflex' && resolution % patch !== 0)
      notes.push(
        `phase ${phase.name}: a resolution of ${resolution} is no multiple of the patch ${patch}, so ${resolution % patch} pixels at the right and at the bottom are not seen`,
      );
    const tight = facts && memory && memoryNote(trainedSettings(phaseSettings(recipe, phase, facts)), memory);
    if (tight) notes.push(tight);
  }
  for (const length of others)
    notes.push(
      `texts are ${length} tokens long: pipelines of transformers pad to ${pipelineLength}, so what is exported is used with max_length=${length}, as its card says`,
    );
  if (recipe.precision === 'bf16' && memory?.kind === 'cpu' && cpuHasBfloat16() === false)
    notes.push(
      'precision is "bf16", and this CPU does not compute in bfloat16: "precision": "auto" takes what is faster',
    );
  return [...new Set(notes)];
}
