import { linkHorizontal } from 'd3-shape';
import { escaped } from './escape.ts';
import type { PhaseReport } from './types.ts';

const box = { width: 200, height: 46 };
const gap = { x: 64, y: 18 };
const margin = 8;
const longestName = 24;

interface Node {
  readonly name: string;
  readonly phase: PhaseReport | null;
  readonly column: number;
  readonly row: number;
}

/**
 * The phases as they went, each right of what it goes on from; dashed lines come from teachers, and dashed boxes are checkpoints
 * of other runs. Nothing where there is one phase that comes from nothing.
 */
export function phaseGraph(phases: readonly PhaseReport[]): string {
  const links = phases.flatMap(({ name, links }) => links.map((link) => ({ ...link, to: name })));
  if (phases.length < 2 && links.length === 0) return '';
  const nodes = placed(phases);
  const at = new Map(nodes.map((node) => [node.name, node]));
  const x = ({ column }: Node) => margin + column * (box.width + gap.x);
  const y = ({ row }: Node) => margin + row * (box.height + gap.y);
  const curve = linkHorizontal();
  const edges = links.flatMap(({ from, to, kind }) => {
    const [a, b] = [at.get(from), at.get(to)];
    if (!a || !b || a === b) return [];
    const path = curve({
      source: [x(a) + box.width, y(a) + box.height / 2],
      target: [x(b), y(b) + box.height / 2],
    });
    const what = kind === 'teacher' ? 'teaches' : 'goes on as';
    return [
      `<path class="edge${kind === 'teacher' ? ' dashed' : ''}" d="${path}"><title>${escaped(from, 80)} ${what} ${escaped(to, 80)}</title></path>`,
    ];
  });
  const boxes = nodes.map((node) => {
    const { name, phase } = node;
    const steps = phase?.steps ? `steps ${phase.steps[0]} to ${phase.steps[1]}` : phase ? 'no step' : 'another run';
    const state = phase === null || phase.ended ? '' : ', not ended';
    return `<g><title>${escaped(name, 80)}: ${steps}${state}</title><rect class="node${phase ? '' : ' dashed'}" x="${x(node)}" y="${y(node)}" width="${box.width}" height="${box.height}" rx="6"/><text class="name" x="${x(node) + 10}" y="${y(node) + 19}">${escaped(name, longestName)}</text><text x="${x(node) + 10}" y="${y(node) + 37}">${steps}${state}</text></g>`;
  });
  const width = Math.max(...nodes.map(x)) + box.width + margin;
  const height = Math.max(...nodes.map(y)) + box.height + margin;
  return `<figure class="whole"><div class="scroll" tabindex="0" role="region" aria-label="Graph of phases">
<svg class="graph" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Which phase goes on from which; the table has the same in text">
${[...edges, ...boxes].join('\n')}
</svg></div></figure>`;
}

/** Columns by the longest way from the start; rows so that each way goes on in its row where it can. */
function placed(phases: readonly PhaseReport[]): Node[] {
  const known = new Map(phases.map((phase) => [phase.name, phase]));
  const outside = [...new Set(phases.flatMap(({ links }) => links.map(({ from }) => from)))].filter(
    (from) => !known.has(from),
  );
  const columns = new Map<string, number>(outside.map((name) => [name, 0]));
  const columnOf = (name: string, seen: readonly string[]): number => {
    const found = columns.get(name);
    if (found !== undefined) return found;
    // What a bucket says may go in circles.
    const before = (known.get(name)?.links ?? []).filter(({ from }) => !seen.includes(from) && from !== name);
    const column = before.length === 0 ? 0 : 1 + Math.max(...before.map(({ from }) => columnOf(from, [...seen, name])));
    columns.set(name, column);
    return column;
  };
  const taken = new Set<string>();
  const rows = new Map<string, number>();
  const place = (name: string, phase: PhaseReport | null): Node => {
    const column = columnOf(name, []);
    let row = rows.get(phase?.links[0]?.from ?? '') ?? 0;
    while (taken.has(`${column} ${row}`)) row++;
    taken.add(`${column} ${row}`);
    rows.set(name, row);
    return { name, phase, column, row };
  };
  return [...outside.map((name) => place(name, null)), ...phases.map((phase) => place(phase.name, phase))];
}
