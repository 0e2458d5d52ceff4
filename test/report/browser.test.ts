import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reportPage } from '../../src/report/page.ts';
import { madeReport } from './made-report.ts';

const browser = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => {
  try {
    return execFileSync('which', [name], { stdio: ['ignore', 'pipe', 'ignore'] }).length > 0;
  } catch {
    return false;
  }
});

/** What a page that has the report in frames of two widths sees of it. */
interface Seen {
  readonly width: number;
  readonly scrollWidth: number;
  readonly sections: number;
  readonly pictures: readonly { readonly width: number; readonly height: number }[];
  readonly smallestText: number;
  readonly ground: string;
  readonly reached: number;
  /** Pictures that have something to show, of those that are there. */
  readonly seen: number;
}

const look = `
const seen = (frame) => {
  const page = frame.contentDocument;
  for (const one of page.querySelectorAll('details')) one.open = true;
  const scale = (svg) => svg.viewBox.baseVal.width ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
  const reach = [...page.querySelectorAll('a, summary, [tabindex="0"]')];
  return {
    width: frame.clientWidth,
    scrollWidth: page.documentElement.scrollWidth,
    sections: page.querySelectorAll('section').length,
    pictures: [...page.querySelectorAll('svg[role=img]:not(.thumb)')].map((svg) => svg.getBoundingClientRect()).map(({ width, height }) => ({ width, height })),
    smallestText: Math.min(...[...page.querySelectorAll('svg text')].map((text) => 12 * scale(text.ownerSVGElement))),
    ground: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    seen: [
      ...[...page.querySelectorAll('svg.thumb use')].map((use) => use.getBBox().width > 0),
      ...[...page.querySelectorAll('img')].map((image) => image.complete && image.naturalWidth > 0),
    ].filter((one) => one).length / page.querySelectorAll('svg.thumb use, img').length,
    reached: reach.filter((one) => { one.focus(); return page.activeElement === one; }).length / reach.length,
  };
};
onload = () => { document.querySelector('pre').textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(seen)); };`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-report-page-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.skipIf(browser === undefined)(
  `opens in a browser, wide and 390 pixels narrow, light and dark, and all of it can be reached by keyboard${browser ? '' : ' (skipped: neither chromium nor google-chrome is installed)'}`,
  async () => {
    await writeFile(join(folder, 'report.html'), reportPage(madeReport));
    const frames = [
      [390, 'light'],
      [1200, 'light'],
      [1200, 'dark'],
    ].map(
      ([width, scheme]) =>
        `<iframe src="report.html" style="border:0;width:${width}px;height:800px;color-scheme:${scheme}"></iframe>`,
    );
    await writeFile(join(folder, 'look.html'), `<!doctype html>${frames.join('')}<pre></pre><script>${look}</script>`);
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--allow-file-access-from-files',
      `--user-data-dir=${join(folder, 'profile')}`,
    ];
    const { stdout } = await promisify(execFile)(browser!, [...flags, '--dump-dom', join(folder, 'look.html')], {
      timeout: 20_000,
    });
    const text = /<pre>(.*?)<\/pre>/s.exec(stdout)![1]!;
    const [narrow, wide, dark] = JSON.parse(text.replaceAll('&amp;', '&')) as [Seen, Seen, Seen];
    for (const { width, scrollWidth, sections, pictures, reached, seen } of [narrow, wide, dark]) {
      // Nothing leaves the page on the right.
      expect(scrollWidth).toBeLessThanOrEqual(width);
      expect(sections).toBe(8);
      expect(seen).toBe(1);
      expect(pictures).toHaveLength(8);
      for (const picture of pictures) expect(Math.min(picture.width, picture.height)).toBeGreaterThan(110);
      expect(reached).toBe(1);
    }
    expect([narrow, wide, dark].map(({ ground }) => ground)).toEqual([
      'rgb(255, 255, 255)',
      'rgb(255, 255, 255)',
      'rgb(20, 23, 28)',
    ]);
    expect(narrow.width).toBe(390);
    expect(narrow.smallestText).toBeGreaterThan(10);
  },
  30_000,
);
