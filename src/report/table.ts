import { escaped } from './escape.ts';
import type { Fact } from './types.ts';

/** A cell of HTML that was escaped already, with the class that it is to have. */
export interface Cell {
  readonly html: string;
  readonly kind?: 'number' | 'none' | 'differs';
}

/** A table that scrolls within itself where it is too wide, by keyboard too. `compact`: a line each row; `wrap`: broken anywhere. */
export function table(
  label: string,
  head: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  { compact = false, wrap = false } = {},
): string {
  const cell = (one: string | Cell, k: number): string => {
    const { html, kind } = typeof one === 'string' ? ({ html: escaped(one) } as Cell) : one;
    if (k === 0) return `<th scope="row">${html}</th>`;
    if (kind === undefined) return `<td>${html}</td>`;
    return `<td class="number${kind === 'number' ? '' : ` ${kind}`}">${html}</td>`;
  };
  const body = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n');
  const numbers = rows.some((row) => row.some((one) => typeof one !== 'string'));
  const kinds = [compact ? 'compact' : '', wrap ? 'wrap' : '', numbers ? 'figures' : '']
    .filter((kind) => kind !== '')
    .join(' ');
  const above =
    head.length > 0
      ? `<thead><tr>${head.map((name) => `<th scope="col">${escaped(name)}</th>`).join('')}</tr></thead>\n`
      : '';
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escaped(label)}"><table${kinds === '' ? '' : ` class="${kinds}"`}>
${above}<tbody>
${body}
</tbody></table></div>`;
}

export const factTable = (label: string, facts: readonly Fact[]): string => table(label, [], facts);
