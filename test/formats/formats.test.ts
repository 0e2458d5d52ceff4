import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bigVisionLine } from '../../src/formats/big-vision.ts';
import { clipBenchmarkJson } from '../../src/formats/clip-benchmark.ts';
import { datacompLine } from '../../src/formats/datacomp.ts';
import { depthColumns, dinov3Csv, knnColumns, segmentationColumns } from '../../src/formats/dinov3.ts';
import { evalResultsYaml, modelIndexYaml } from '../../src/formats/model-card.ts';
import { pythonFloat } from '../../src/formats/python-text.ts';
import type { TaskResult } from '../../src/formats/result.ts';
import { yamlText } from '../../src/formats/yaml.ts';

/** Made by the tools themselves: fixtures/make_formats.py. */
const fixture = JSON.parse(readFileSync(new URL('fixtures/formats.json', import.meta.url), 'utf8'));
const figuresOf = (of: Record<string, number | null>) => Object.entries(of).map(([name, value]) => ({ name, value }));
const base = { model: 'siglip2 Ürün', pretrained: 'pets/400', language: 'en' };
const imagenet: TaskResult = {
  ...base,
  dataset: { name: 'imagenet1k', id: 'ILSVRC/imagenet-1k', split: 'validation' },
  task: 'zeroshot_classification',
  figures: figuresOf(fixture.classification),
};
const coco: TaskResult = {
  ...base,
  dataset: { name: 'mscoco_captions' },
  task: 'zeroshot_retrieval',
  figures: figuresOf(fixture.retrieval),
};

describe('formats of others are, byte for byte,', () => {
  it('the JSON of CLIP_benchmark, with its NaN for top-5 of few classes', () => {
    expect(clipBenchmarkJson(imagenet)).toBe(fixture.clip_benchmark.classification);
    const few = {
      ...imagenet,
      figures: imagenet.figures.map((one) => (one.name === 'top5' ? { ...one, value: null } : one)),
    };
    expect(clipBenchmarkJson(few)).toBe(fixture.clip_benchmark.few_classes);
    expect(clipBenchmarkJson(coco)).toBe(fixture.clip_benchmark.retrieval);
  });

  it('that JSON for one of several languages', () => {
    const figures = [
      ...coco.figures.map(({ name }) => ({ name: `by_language.de.${name}`, value: 0 })),
      ...coco.figures.map(({ name, value }) => ({ name: `by_language.en.${name}`, value })),
    ];
    expect(clipBenchmarkJson({ ...coco, figures })).toBe(fixture.clip_benchmark.retrieval);
  });

  it('the lines of datacomp, with the figure that a task counts by, or null', () => {
    expect(datacompLine({ key: 'imagenet1k', name: 'ImageNet 1k' }, imagenet)).toBe(fixture.datacomp.classification);
    const retrieval = { key: 'retrieval/mscoco_2014', name: 'MSCOCO', mainMetric: 'mean_recall@1' };
    expect(datacompLine(retrieval, coco)).toBe(fixture.datacomp.retrieval);
    const geode = { key: 'fairness/geode', name: 'GeoDE', mainMetric: 'acc_wg' };
    expect(datacompLine(geode, imagenet)).toBe(fixture.datacomp.absent);
  });

  it('the lines of big_vision', () => {
    expect(bigVisionLine(400, 'z/0shot/', imagenet.figures)).toBe(fixture.big_vision);
    expect(bigVisionLine(400, '', [])).toBe('');
  });

  it('the tables of DINOv3', () => {
    expect(dinov3Csv(depthColumns('NYU', figuresOf(fixture.depth)))).toBe(fixture.dinov3.depth);
    const knn = figuresOf({ 'k10.top1': fixture.classification.top1, 'k10.top5': 1, 'k10.chance': 0.1 });
    expect(dinov3Csv(knnColumns(knn))).toBe(fixture.dinov3.knn);
    const dense = figuresOf({ mIoU: 0.433462, aAcc: 0.68230277 });
    expect(dinov3Csv(segmentationColumns(dense))).toBe(fixture.dinov3.segmentation);
    expect(dinov3Csv(figuresOf({ 'a,"b"': 1.5 }))).toBe(fixture.dinov3.quoted);
  });

  it('the YAML of huggingface_hub, in which a data set that is called true is still a name', () => {
    const other = { ...coco, dataset: { name: 'true' } };
    const none = { ...coco, figures: [{ name: 'r1', value: null }] };
    expect(modelIndexYaml('siglip2-pets', [imagenet, other, none])).toBe(fixture.model_index);
    const source = {
      date: '2026-11-27T10:30:00Z',
      url: 'https://example.com/run',
      name: "run 'pets'",
      notes: 'lower-case, 64 tokens: padded',
    };
    expect(evalResultsYaml([imagenet, coco], { top1: 'top_1', 'image_to_text.r1': 'r1' }, source)).toBe(
      fixture.eval_results,
    );
    expect(evalResultsYaml([coco], { 'image_to_text.r1': 'r1' })).toBe('[]\n');
  });

  it("Python's floats", () => {
    for (const [text, value] of Object.entries(fixture.floats)) expect(pythonFloat(value as number)).toBe(text);
    expect(Object.keys(fixture.floats)).toHaveLength(10);
    expect([Number.NaN, Number.POSITIVE_INFINITY, -0, 0].map(pythonFloat)).toEqual(['nan', 'inf', '-0.0', '0.0']);
  });
});

describe('YAML', () => {
  it('puts into quotes what would be read as something else, and escapes what would end the line', () => {
    const names = ['yes', '12', '- a', 'a: b', 'a # b', "it's", ' a', 'a\nb: c', '', '*x', '{a}'];
    expect(yamlText(names)).toBe(
      `- 'yes'\n- '12'\n- '- a'\n- 'a: b'\n- 'a # b'\n- it's\n- ' a'\n- "a\\nb: c"\n- ''\n- '*x'\n- '{a}'\n`,
    );
    // PyYAML ends a line at U+2028, and refuses DEL and what it calls not printable.
    expect(yamlText({ a: 'x\u2028y', b: '\u007f\u0085\ufeff' })).toBe('a: "x\\u2028y"\nb: "\\u007f\\u0085\\ufeff"\n');
    expect(yamlText({ a: [], b: { c: true }, d: null, e: 1e-5 })).toBe('a: []\nb:\n  c: true\ne: 1.0e-05\n');
  });
});
