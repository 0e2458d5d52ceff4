import { comparedSections } from './compared-sections.ts';
import { escaped } from './escape.ts';
import { pictureSections } from './picture-sections.ts';
import { type Section, sectionsOf } from './sections.ts';
import { style } from './style.ts';
import type { ComparisonReport, RunReport } from './types.ts';

/** Bytes that a report may have; the bounds of its sections keep it below. */
export const mostReportBytes = 5 * 2 ** 20;

/**
 * A run as one page of HTML that needs nothing else: no script, no network, the same bytes for the same report. All texts from
 * outside are escaped, and the page forbids itself to load anything.
 */
export function reportPage(report: RunReport): string {
  const pictures = pictureSections(report);
  return pageOf(report.run, [...sectionsOf(report), ...pictures.sections], pictures.symbols);
}

/** Two of them side by side, as such a page. */
export const comparisonPage = (report: ComparisonReport): string =>
  pageOf(`${report.a.name} and ${report.b.name}`, comparedSections(report));

function pageOf(name: string, sections: readonly Section[], symbols = ''): string {
  const links = sections.map(({ id, title }) => `<li><a href="#${id}">${title}</a></li>`);
  const parts = sections.map(
    ({ id, title, html, absent }) =>
      `<section id="${id}" aria-labelledby="${id}-title">\n<h2 id="${id}-title">${title}</h2>\n${html === '' ? `<p class="absent">${absent}</p>` : html}\n</section>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(name)}: report</title>
<style>${style}</style>
<header>
<h1>${escaped(name)}</h1>
<nav aria-label="Sections"><ul>${links.join('')}</ul></nav>
</header>
<main>
${parts.join('\n')}
</main>${symbols === '' ? '' : `\n${symbols}`}
</html>
`;
}
