import type { ShownPicture } from '../data/stats/shown-pictures.ts';
import { escaped as escapedUpTo } from '../report/escape.ts';
import type { DataStats } from './data-stats.ts';
import { brokenLines, statsLines } from './format-stats.ts';

/** Pictures of a page, and all bytes that it may have. */
export const picturesOfPage = 60;
export const mostPageBytes = 8 * 2 ** 20;

const mostTexts = 8;
const longestText = 300;
const mostRegions = 30;

/**
 * One page of pictures with their texts and boxes, and the figures. It has no script and asks nothing of the network:
 * whatever the data say is text. Pictures for which there is no room are left out.
 */
export function statsPage(stats: DataStats, shown: readonly ShownPicture[]): string {
  const rows = statsLines(stats).map(([name, said]) => `<tr><th>${escaped(name)}<td>${escaped(said)}`);
  const broken = brokenLines(stats).map((line) => `<li>${escaped(line.trim())}`);
  const figures: string[] = [];
  let left = mostPageBytes - 256 * 1024;
  for (const picture of shown) {
    const figure = figureOf(picture);
    left -= Buffer.byteLength(figure);
    if (left < 0) break;
    figures.push(figure);
  }
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${escaped(stats.prefix)}</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; max-width: 90rem }
th { text-align: left; padding-right: 1rem; vertical-align: top; white-space: nowrap }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1.5rem }
figure { margin: 0; overflow-wrap: anywhere }
.picture { position: relative; display: inline-block }
.picture img { display: block; max-width: 100% }
.picture div { position: absolute; box-sizing: border-box; border: 2px solid #e6007e }
.picture span { background: #e6007e; color: #fff; font-size: 11px; padding: 0 2px }
small { color: #666 }
</style>
<h1>${escaped(stats.prefix)}</h1>
<table>
${rows.join('\n')}
</table>
${broken.length > 0 ? `<h2>Can't be used</h2>\n<ul>\n${broken.join('\n')}\n</ul>` : ''}
<h2>Pictures</h2>
<main>
${figures.join('\n')}
</main>
</html>
`;
}

function figureOf({ shard, name, width, height, meta, thumbnail }: ShownPicture): string {
  const { captions, concept, regions = [] } = meta;
  const texts = Object.entries(captions).flatMap(([language, own]) => own.map((text) => ({ language, text })));
  const boxes = regions.slice(0, mostRegions).map(({ caption, box: [top, left, bottom, right] }) => {
    const percent = (share: number) => `${(100 * share).toFixed(2)}%`;
    const at = `top:${percent(top)};left:${percent(left)};height:${percent(bottom - top)};width:${percent(right - left)}`;
    return `<div style="${at}"><span>${said(caption)}</span></div>`;
  });
  const lines = texts
    .slice(0, mostTexts)
    .map(({ language, text }) => `<br><small>${said(language)}</small> ${said(text)}`);
  const more = texts.length > mostTexts ? `<br><small>and ${texts.length - mostTexts} more</small>` : '';
  const own = concept === name ? '' : `, class ${said(concept)}`;
  return `<figure><div class="picture"><img alt="" src="data:image/webp;base64,${thumbnail.toString('base64')}">${boxes.join('')}</div>
<figcaption><small>${said(shard)}, ${said(name)}, ${width} x ${height}${own}</small>${lines.join('')}${more}</figcaption></figure>`;
}

/** What the data say: cut short, in one direction of its own, in harmless characters. */
const said = (text: string) => `<bdi>${escaped(cut(text.replaceAll(/\s+/g, ' ')))}</bdi>`;

const cut = (text: string) => {
  const characters = [...text.slice(0, 2 * longestText)];
  return characters.length > longestText ? `${characters.slice(0, longestText).join('')}...` : characters.join('');
};

/** As short as a line of a table has room for. */
const escaped = (text: string) => escapedUpTo(text, 120);
