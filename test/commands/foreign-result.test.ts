import { describe, expect, it } from 'vitest';
import { foreignText } from '../../src/commands/foreign-result.ts';
import type { EvaluationDocument, FigureDocument } from '../../src/evaluate/result.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';

const figure = (
  evaluator: FigureDocument['evaluator'],
  figures: FigureDocument['figures'],
  view = 'px-256',
): FigureDocument => ({
  ...{ evaluator, view, examples: 4, figures, intervals: {}, notes: [], fingerprint: {} },
  outcomes: { key: 'k', bytes: 1, sha256: 's' },
});
const document = (figures: FigureDocument[]): EvaluationDocument => ({
  version: 1,
  task: parseTask({
    ...{ version: 1, name: 'pets', data: 'data/pets', languages: ['en', 'de'] },
    evaluators: { retrieval: {} },
  }),
  model: { name: 'base/pretrain@900', sha256: 'a'.repeat(64) },
  figures,
});
const both = (r1: number) => ({ image_to_text: { r1 }, text_to_image: { r1: r1 / 2 } });
const retrieval = figure('retrieval', { by_language: { en: both(0.5), de: both(0.25) }, mean: both(0.375) });
const knn = figure('knn', { k10: { top1: 0.75, top5: 1 } });

describe('a result in the form of others', () => {
  it('is a line of CLIP_benchmark for each language, with its own figures alone', () => {
    const lines = foreignText('clip-benchmark', document([retrieval]))
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      [0.5, 0.25].map((r1, i) => ({
        ...{ dataset: 'pets', model: 'base/pretrain@900', pretrained: 'aaaaaaaaaaaa', task: 'zeroshot_retrieval' },
        metrics: { 'text_retrieval_recall@1': r1, 'image_retrieval_recall@1': r1 / 2 },
        language: ['en', 'de'][i],
      })),
    );
  });

  it('says of several sizes which one a line is of', () => {
    const sizes = document([knn, { ...knn, view: 'px-384' }]);
    const lines = foreignText('clip-benchmark', sizes).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).model)).toEqual([
      'base/pretrain@900 px-256',
      'base/pretrain@900 px-384',
    ]);
  });

  it('has no top 5 of fewer classes, as CLIP_benchmark has NaN', () => {
    const zeroShot = figure('zeroShot', { classes: 3, top1: 0.5, top5: 1 });
    expect(foreignText('clip-benchmark', document([zeroShot]))).toContain('"acc1": 0.5, "acc5": NaN');
    const more = figure('zeroShot', { classes: 5, top1: 0.5, top5: 1 });
    expect(foreignText('clip-benchmark', document([more]))).toContain('"acc5": 1.0');
  });

  it('counts retrieval in datacomp by the mean of both ways', () => {
    const [first] = foreignText('datacomp', document([retrieval])).split('\n');
    expect(JSON.parse(first!).metrics).toMatchObject({ 'mean_recall@1': 0.375, main_metric: 0.375 });
  });

  it('has the step of the checkpoint in big_vision_metrics.txt', () => {
    expect(JSON.parse(foreignText('big-vision', document([knn])))).toEqual({
      ...{ step: 900, 'pets/knn/px-256/k10.top1': 0.75, 'pets/knn/px-256/k10.top5': 1 },
    });
  });

  it('is a CSV of DINOv3 where there is k-NN, and says what is missing elsewhere', () => {
    expect(foreignText('dinov3-knn', document([knn]))).toBe('10 Top 1,10 Top 5\n75,100\n');
    expect(() => foreignText('dinov3-knn', document([retrieval]))).toThrow('put "knn": {} into its evaluators');
  });

  it('is a model-index with each evaluator once', () => {
    const text = foreignText('model-index', document([retrieval, knn]));
    expect(text.match(/ type: (image-text-retrieval|image-classification)$/gm)).toHaveLength(2);
    expect(text).toContain('value: 0.375');
  });

  it('is .eval_results where the task names a data set of the hub, and says what is missing where it does not', () => {
    const told = document([retrieval]);
    expect(() => foreignText('eval-results', told)).toThrow(
      'the task pets names no data set of the hub, so there is no .eval_results: put "dataset": {"hub": "OWNER/NAME"',
    );
    const on = (dataset: object) => ({ ...told, task: parseTask({ ...told.task, dataset }) });
    const tasks = { 'retrieval.mean.image_to_text.r1': 'i2t' };
    expect(foreignText('eval-results', on({ hub: 'a/pets', revision: '0ff', tasks }))).toMatch(
      /^- dataset:\n {4}id: a\/pets\n {4}task_id: i2t\n {4}revision: '0ff'\n {2}value: 0.375\n {2}notes: retrieval at px-256/,
    );
    expect(() => foreignText('eval-results', on({ hub: 'a/pets' }))).toThrow('of none of its figures a task of that');
  });
});
