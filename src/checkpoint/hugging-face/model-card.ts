import type { EvaluationReport } from '../../evaluate/report.ts';
import { flatFigures } from '../../evaluate/result.ts';
import { tasksOfEvaluators } from '../../formats/evaluators.ts';
import { modelIndexYaml } from '../../formats/model-card.ts';
import type { TaskResult } from '../../formats/result.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import type { Resize } from '../../recipe/schema.ts';
import type { KeptEvaluation } from '../metrics-document.ts';
import type { FolderFile } from './config.ts';
import { datasetOf, evalResultsNote } from './eval-results.ts';

/** What the card can't know by itself. */
export interface ModelCardFacts {
  readonly run: string;
  readonly phase: string;
  readonly step: number;
  readonly examples: number;
  /** Where the checkpoint lies, such as s3://siglip2/runs/... */
  readonly checkpointUri: string;
  readonly checkpointSha256: string;
  readonly codeVersion: string;
  readonly recipeHash: string;
  /** What matrices were multiplied in, where that is known. */
  readonly precision?: 'f32' | 'bf16' | undefined;
  /** How training resized; absent: as big_vision does. */
  readonly resize?: Resize | undefined;
  readonly data: {
    /** Key prefixes of the shards, or null where only the fingerprint is known. */
    readonly train: string | null;
    readonly evaluation: string | null;
    readonly fingerprint: string;
    /** Members of it that are examples, or were to be, where that is known. */
    readonly members?: number | undefined;
    /** Those that were not used, by reason; null when all were, absent where nobody counted. */
    readonly skipped?: SkippedFacts | null;
    /** Markdown with the notices that go with the data, or null when none came with it. */
    readonly licences: string | null;
  };
  readonly evaluation: EvaluationReport | null;
  /** By tasks, as metrics.json has them; absent: none. */
  readonly evaluations?: readonly KeptEvaluation[];
}

export interface SkippedFacts {
  readonly members: number;
  readonly orMore?: true;
  readonly reasons: readonly { readonly reason: string; readonly members: number; readonly example: string }[];
}

const decimals = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits));
const percent = (value: number | undefined) => (value === undefined ? '-' : `${(100 * value).toFixed(1)} %`);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  // Names of languages come from the recipe: one of them must not end a cell or a row.
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replace(/[|\r\n]/g, ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function figures({ zero_shot, retrieval }: EvaluationReport): string {
  const classification = Object.entries(zero_shot.by_language).map(([language, of]) => [
    language,
    `${of.classes}`,
    percent(of.top1),
    percent(of.top5),
    decimals(of.times_chance, 1),
    `${of.left_out}`,
  ]);
  const search = Object.entries(retrieval.by_language).map(([language, { image_to_text: i, text_to_image: t }]) => [
    language,
    [i?.r1, i?.r5, i?.r10].map(percent).join(' / '),
    [t?.r1, t?.r5, t?.r10].map(percent).join(' / '),
  ]);
  return `${table(['language', 'classes', 'top-1', 'top-5', 'top-1 in times chance', 'images without a label'], classification)}

Retrieval, R@1 / R@5 / R@10:

${table(['language', 'image to text', 'text to image'], search)}`;
}

function input({ kind, resolution, patch }: ModelConfig['vision']): string {
  return kind === 'naflex' ? `any shape, in patches of ${patch} px` : `${resolution} px, patches of ${patch} px`;
}

/** What no default of transformers' processors says: they take 64 tokens, and 256 patches of 16 pixels. */
function callArguments({ vision, text }: ModelConfig): string {
  const texts = `padding="max_length", max_length=${text.length}, truncation=True`;
  if (vision.kind !== 'naflex') return texts;
  const patches = Math.floor(vision.resolution / vision.patch) ** 2;
  return `${texts},\n    patch_size=${vision.patch}, max_num_patches=${patches}`;
}

/** Reasons and names come from the data: none of them may end a line or begin markup. */
function notUsed({ members, skipped }: ModelCardFacts['data']): string {
  if (!skipped) return skipped === null ? '\n- Not used: none of the examples that were drawn' : '';
  const plain = (text: string) => text.replace(/[^\p{L}\p{M}\p{N}\p{Zs}"',.:;()/=+-]/gu, '?');
  const count = `${skipped.members}${skipped.orMore ? ' or more' : ''}`;
  const reasons = skipped.reasons.map(({ reason, members, example }) => {
    return `  - ${members}: ${plain(reason)}${example === '' ? '' : `, such as ${plain(example)}`}`;
  });
  return [
    '',
    `- Not used: ${count}${members === undefined ? '' : ` of ${members}`} members of the data`,
    ...reasons,
  ].join('\n');
}

function notes({ vision, text }: ModelConfig, resize: Resize | undefined): string[] {
  const alpha = '`convert("RGB")` drops transparency; training laid transparent images on white';
  const pipeline =
    text.length === pipelineLength
      ? []
      : [
          `transformers' pipelines pad texts to ${pipelineLength} tokens whatever a model has, and so can't be used with this one.`,
        ];
  return [
    `\`padding="max_length"\` and \`max_length=${text.length}\` are needed: texts are pooled at their last position, and the model only knows padded ones.`,
    ...pipeline,
    ...(vision.kind === 'naflex'
      ? [
          `\`patch_size=${vision.patch}\` and \`max_num_patches\` are needed: the processor's own defaults take their place otherwise. Another number of patches makes images finer or coarser.`,
          `${alpha}.`,
        ]
      : resize === 'antialias'
        ? [`${alpha}. Both resize alike: bilinear, antialiased.`]
        : [
            `${alpha}, and resized without antialiasing, while the processor here antialiases. For the figures below give it images that are ${vision.resolution} x ${vision.resolution} already.`,
          ]),
  ];
}

/** All else was float32. */
const precisionOf = ({ precision }: ModelCardFacts): string =>
  precision ? `\n- Matrix products in ${precision === 'bf16' ? 'bfloat16' : 'float32'}, weights in float32` : '';

/** Tokens that transformers' zero-shot pipeline asks of every model of these two types. */
const pipelineLength = 64;

/** What the hub shows of evaluations by tasks, each task a data set of its name; nothing where there are none. */
function modelIndex({ run, evaluations = [] }: ModelCardFacts): string {
  const results = evaluations.flatMap(({ task, dataset, figures }) =>
    figures.flatMap(({ evaluator, view, figures: own }): TaskResult[] => {
      const known = tasksOfEvaluators[evaluator];
      if (!known) return [];
      const named = flatFigures(own).map(([name, value]) => ({ name: `${evaluator} ${view} ${name}`, value }));
      return [
        { model: run, pretrained: '', dataset: datasetOf(task, dataset), task: known, language: 'en', figures: named },
      ];
    }),
  );
  return results.length === 0 ? '' : modelIndexYaml(run, results);
}

/** Names of tasks are plain by their form. */
function byTasks({ evaluations = [] }: ModelCardFacts): string {
  return evaluations.length === 0
    ? ''
    : `\n\nBy tasks: what the front matter above has as model-index. ${evalResultsNote(evaluations)}`;
}

/** `README.md` of an exported folder: what the model is, how to load it, what it can do, and whose data it saw. */
export function modelCard(config: ModelConfig, facts: ModelCardFacts): FolderFile {
  const { vision, text } = config;
  const { data, evaluation } = facts;
  const content = `---
library_name: transformers
${text.length === pipelineLength ? 'pipeline_tag: zero-shot-image-classification\n' : ''}license: other
license_name: see-below
tags:
- siglip
- siglip2
${modelIndex(facts)}---

# ${facts.run}

An image and a text tower trained with the SigLIP 2 recipe (arXiv 2502.14786) by siglip2-runner: phase ${facts.phase},
step ${facts.step}, ${facts.examples} examples seen.

| | width | depth | MLP | heads | input |
| --- | --- | --- | --- | --- | --- |
| image | ${vision.width} | ${vision.depth} | ${vision.mlp} | ${vision.heads} | ${input(vision)} |
| text | ${text.width} | ${text.depth} | ${text.mlp} | ${text.heads} | ${text.length} tokens |

## Use

\`\`\`python
from PIL import Image
from transformers import AutoModel, AutoProcessor

folder = "."  # this folder
model = AutoModel.from_pretrained(folder)
processor = AutoProcessor.from_pretrained(folder)
inputs = processor(
    text=["a red apple", "a green frog"], images=Image.open("image.png").convert("RGB"),
    ${callArguments(config)}, return_tensors="pt",
)
print(model(**inputs).logits_per_image.sigmoid())
\`\`\`

${notes(config, facts.resize)
  .map((note) => `- ${note}`)
  .join('\n')}

## Figures

${
  evaluation === null
    ? 'This model was not evaluated.'
    : `On ${data.evaluation ?? data.train ?? 'the data'}, zero-shot classification over all classes that have a label in the language:

${figures(evaluation)}`
}${byTasks(facts)}

## Origin

- Checkpoint: ${facts.checkpointUri}, sha256 of the state ${facts.checkpointSha256}
- Recipe ${facts.recipeHash}, code ${facts.codeVersion}${precisionOf(facts)}
- Data: ${data.train === null ? '' : `${data.train}, `}fingerprint ${data.fingerprint}${notUsed(data)}

## Licences

The tokenizer is Gemma's, as in the released SigLIP 2 models, under its own terms. The weights were learned from the
data named above; ${data.licences === null ? 'no licence notices came with it: ask whoever made it.' : 'these notices came with it:'}
${data.licences === null ? '' : `\n${data.licences.trim().replaceAll(/^#+ /gm, '### ')}\n`}`;
  return { path: 'README.md', content };
}
