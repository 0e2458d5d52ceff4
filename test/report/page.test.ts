import { describe, expect, it } from 'vitest';
import { mostReportBytes, reportPage } from '../../src/report/page.ts';
import { thinned } from '../../src/report/thin.ts';
import type { Point, RunReport } from '../../src/report/types.ts';
import { madeReport } from './made-report.ts';
import { madeCurated, madeSheet } from './made-sheet.ts';

const page = reportPage(madeReport);
const nothing: RunReport = {
  run: 'empty',
  facts: [],
  recipe: null,
  events: [],
  phases: [],
  evaluations: [],
  comparisons: [],
  sheets: [],
  curated: [],
  problems: [],
};

it('gives the same bytes for the same report', () => {
  expect(reportPage(structuredClone(madeReport))).toBe(page);
});

it('asks nothing of the network and has no script', () => {
  expect(page).not.toMatch(/<script|<link|<iframe|@import|url\(|https?:/);
  // Pictures are within the page.
  const sources = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source!);
  for (const source of sources)
    expect(source).toMatch(/^(#[A-Za-z0-9_-]+|data:image\/(webp|png);base64,[A-Za-z0-9+/]+=*)$/);
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`);
});

it('says of each section in a line that there is nothing', () => {
  const empty = reportPage(nothing);
  for (const line of [
    'has no recipe',
    'No step of this run',
    'No loss of this run',
    'was not evaluated',
    'No two phases that can be held against',
    'No sheet of pictures was made',
    'No phase of this run chose its examples',
    'looked at the same pictures, or they agree on all',
  ])
    expect(empty).toContain(line);
  expect(empty.match(/<p class="absent">/g)).toHaveLength(8);
});

it('draws a curve where its numbers lie', () => {
  const points: Point[] = [
    [0, 0],
    [50, 10],
    [100, 5],
  ];
  const [one] = madeReport.phases;
  const drawn = reportPage({ ...nothing, phases: [{ ...one!, curves: [{ name: 'loss', points }] }] });
  // 400 x 240 with margins of 12, 14, 34 and 52: steps 0 to 100 are 52 to 386, losses 0 to 10 are 206 to 12.
  expect(drawn).toContain('d="M52,206L219,12L386,109"');
  expect(drawn).toContain('<b>5</b> at step 100, lowest 0');
});

it('puts phases where they were in time, and a line from a phase to the one that came from it', () => {
  // 48 minutes are 1 % to 99 %: minute 3 is 7.125 %, minute 21 is 43.875 %.
  expect(page).toContain('<rect class="bar line c0" x="1.00%" width="6.13%" y="24" height="14">');
  expect(page).toContain('<line class="link" x1="43.88%" x2="43.88%" y1="38" y2="70"/>');
  expect(page).toContain(
    '<th scope="row">2026-11-27 01:07:00</th><td>pretrain</td><td>no steps</td><td>no step was recorded for 4 min 0 s',
  );
});

describe('evaluation', () => {
  it('shows figures with their intervals, and says where a document has none', () => {
    expect(page).toContain('12.0 % <span class="none">(10.6 % to 13.4 %)</span>');
    expect(reportPage({ ...nothing, evaluations: [madeReport.evaluations[2]!] })).toContain('hold no intervals');
  });

  it('prints a difference inside its interval as none', () => {
    expect(page).toContain('<td class="number differs">+3.3 points (+2.3 to +4.3)</td>');
    expect(page).toContain('<td class="number none">none (\u22121.4 to +0.6)</td>');
  });

  it('says of a difference without an interval that nothing tells', () => {
    const rows = [{ name: 'top1', before: 0.1, after: 0.15, interval: null }];
    const said = reportPage({ ...nothing, comparisons: [{ phase: 'b', parent: 'a', what: 'zero_shot', rows }] });
    expect(said).toContain('+5.0 points, interval not known');
  });

  it('names in its summary figures of single languages where there is no mean of them, and else the mean', () => {
    const row = (name: string) => ({ name, before: 0.1, after: 0.2, interval: { low: 0.05, high: 0.15 } });
    const said = (...names: string[]) =>
      /<td>a<\/td><td>(.*?)<\/td>/.exec(
        reportPage({ ...nothing, comparisons: [{ phase: 'b', parent: 'a', what: 'scenes', rows: names.map(row) }] }),
      )![1];
    expect(said('by_language.en.top1')).toBe('scenes by_language.en.top1 +10.0');
    expect(said('by_language.en.r1', 'mean.r1')).toBe('scenes mean.r1 +10.0');
  });
});

it('escapes every text from outside', async () => {
  const evil = `</style><script>alert(1)</script>"'&\u202e`;
  const [one] = madeReport.phases;
  const [figures] = madeReport.evaluations;
  const rows = [{ name: evil, before: 0.1, after: 0.2, interval: null }];
  const bad = reportPage({
    run: evil,
    facts: [[evil, evil]],
    recipe: `{\n  "${evil}": 1\n}`,
    events: [{ kind: 'failed', time: one!.spans[0]![0], text: evil }],
    phases: [
      {
        ...one!,
        name: evil,
        parent: evil,
        facts: [[evil, evil]],
        events: [{ kind: 'note', time: one!.spans[0]![0], text: evil }],
        links: [{ from: evil, kind: 'teacher' as const }],
        curves: ['loss', 'loss/a', `loss/${evil}`].map((name) => ({
          name,
          points: [
            [1, 2],
            [2, 1],
          ] as const,
        })),
      },
    ],
    evaluations: [
      {
        ...figures!,
        phase: evil,
        task: evil,
        evaluator: evil,
        view: evil,
        notes: [evil],
        figures: [{ name: evil, value: 1, interval: null }],
      },
    ],
    comparisons: [{ phase: evil, parent: evil, what: evil, rows }],
    sheets: [
      { phase: evil, step: 1, task: evil, sheet: await madeSheet(evil, 2, { say: () => evil }) },
      { phase: one!.name, step: 1, task: evil, sheet: await madeSheet(evil, 3, { say: () => evil }) },
    ],
    curated: [await madeCurated(evil, () => evil)],
    problems: [evil],
  });
  expect(bad).not.toContain('<script');
  expect(bad).not.toContain('\u202e');
  expect(bad.match(/<\/style>/g)).toHaveLength(1);
  // Every attribute ends where it began: no tag has a quote of the text in it.
  expect(bad.match(/&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp;\?/g)!.length).toBeGreaterThan(25);
});

describe('pictures', () => {
  // Of 24 the first eight and the four after each are shown, and those that the phases disagree on: 18, 20 and 21.
  it('are in the page once, however often they are shown, and every one that is shown is there', () => {
    const there = [...page.matchAll(/<image id="(p-[^"]+)"/g)].map(([, id]) => id!);
    const shown = new Set([...page.matchAll(/<use href="#(p-[^"]+)"/g)].map(([, id]) => id!));
    expect(there).toHaveLength(16 + 8);
    expect([...shown].sort()).toEqual(there);
    expect(page.match(/<use href="#p-0000000000000000"/g)!.length).toBeGreaterThan(4);
  });

  it('have true boxes drawn through and found ones with dashes, in the colour of their text, and say where none was said', () => {
    const [, own] = page.split('<p>referringProbe px-32</p>');
    const shown = own!.slice(0, own!.indexOf('</div>'));
    const rects = [...shown.matchAll(/<rect class="([^"]+)" x="([^"]+)" y="([^"]+)"/g)].map((found) => found.slice(1));
    const { width, height } = {
      width: Number(/width="(\d+)"/.exec(shown)![1]),
      height: Number(/height="(\d+)"/.exec(shown)![1]),
    };
    const at = (left: number, top: number) => [(left * width).toFixed(1), (top * height).toFixed(1)];
    expect(rects).toEqual([
      ['box line c0', ...at(0.2, 0.1)],
      ['box line c0 dashed', ...at(0.2, 0.15)],
      ['box line c1', ...at(0, 0.5)],
    ]);
    expect(shown).toContain('the ground: no box was said');
  });

  it('that two phases disagree on are those that one is right about and the other is not', () => {
    // Of 24 the first is wrong about multiples of 3 and the second about those of 5: 6 and 3 that are none of 15.
    expect(page).toContain('<h3>Right in distill@600, emoji, wrong in pretrain@300: 6 of 24</h3>');
    expect(page).toContain('<h3>Wrong in distill@600, emoji, right in pretrain@300: 3 of 24</h3>');
  });

  it('leave room for the page where there are more of them than fit, and it says so', async () => {
    const sheet = await madeSheet('many', 2, { count: 96, noise: true });
    const renamed = (k: number) => {
      const of = (text: string) =>
        text.replaceAll(/"0{12}(?=[0-9a-f]{4}")/g, `"${(k + 256).toString(16).padStart(12, '0')}`);
      return JSON.parse(of(JSON.stringify(sheet))) as typeof sheet;
    };
    const sheets = Array.from({ length: 24 }, (_, k) => ({ phase: `p${k}`, step: 1, task: null, sheet: renamed(k) }));
    const full = reportPage({ ...nothing, sheets });
    expect(Buffer.byteLength(full)).toBeLessThan(mostReportBytes);
    expect(full).toContain('more are not shown: the page would be too large');
  });
});

describe('a curve of a million steps', () => {
  const points: Point[] = Array.from({ length: 1_000_000 }, (_, i) => [
    i,
    i === 123_456 ? 50 : i === 654_321 ? -3 : Math.sin(i),
  ]);

  it('keeps its first, its last, and a spike of one step', () => {
    const kept = thinned(points);
    expect(kept.length).toBeLessThanOrEqual(322);
    expect(kept[0]).toEqual([0, 0]);
    expect(kept.at(-1)![0]).toBe(999_999);
    expect(kept).toContainEqual([123_456, 50]);
    expect(kept).toContainEqual([654_321, -3]);
    const steps = kept.map(([step]) => step);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
  });

  it('leaves out what is not finite', () => {
    expect(
      thinned([
        [1, 2],
        [2, Number.NaN],
        [3, Number.POSITIVE_INFINITY],
        [4, 5],
      ]),
    ).toEqual([
      [1, 2],
      [4, 5],
    ]);
  });

  it('takes no more of a page than one of a thousand', () => {
    const [one] = madeReport.phases;
    const of = (curve: readonly Point[]) =>
      Buffer.byteLength(reportPage({ ...nothing, phases: [{ ...one!, curves: [{ name: 'loss', points: curve }] }] }));
    expect(of(points)).toBeLessThan(of(points.slice(0, 1000)) + 1500);
  });
});

it('stays below its bound where every document is as large as can be', () => {
  const [one] = madeReport.phases;
  const text = '<'.repeat(1000);
  const points = Array.from({ length: 900 }, (_, i) => [i * 1000, 1 / (i + 1) + (i % 7)] as const);
  const phases = Array.from({ length: 50 }, (_, i) => ({
    ...one!,
    name: `phase-${i}`,
    facts: Array.from({ length: 12 }, (_, k) => [`fact ${k}`, text] as const),
    spans: Array.from({ length: 200 }, (_, k) => [1e12 + k * 1e6, 1e12 + k * 1e6 + 5e5] as const),
    checkpoints: Array.from({ length: 5000 }, (_, k) => ({ step: k, time: 1e12 + k * 1e5 })),
    events: Array.from({ length: 300 }, (_, k) => ({ kind: 'failed' as const, time: 1e12 + k, text })),
    curves: ['loss', 'learningRate', ...Array.from({ length: 40 }, (_, k) => `loss/${k}`)].map((name) => ({
      name,
      points,
    })),
  }));
  const figures = Array.from({ length: 500 }, (_, k) => ({
    name: `figure-${k}-${text}`,
    value: k / 500,
    interval: { low: 0, high: 1 },
  }));
  const evaluations = Array.from({ length: 40 }, (_, k) => ({
    ...madeReport.evaluations[0]!,
    phase: `phase-${k % 4}`,
    evaluator: `e${k % 10}`,
    figures,
  }));
  const rows = figures.map(({ name, value }) => ({ name, before: value, after: value, interval: null }));
  const comparisons = Array.from({ length: 40 }, (_, k) => ({
    phase: `phase-${k}`,
    parent: 'phase-0',
    what: text,
    rows,
  }));
  const recipe = '&'.repeat(200_000);
  const bytes = Buffer.byteLength(
    reportPage({ ...nothing, phases, evaluations, comparisons, recipe, facts: [['a', text]] }),
  );
  expect(bytes).toBeLessThan(mostReportBytes);
  expect(bytes).toBeGreaterThan(500_000);
});
