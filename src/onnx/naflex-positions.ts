import type { GraphBuilder } from './graph.ts';

// Letters: B pictures, L patches of the longest, G side of the stored grid, D width.

/**
 * Position embeddings of the shape of each picture: those of the stored grid, resized in the graph by the antialiased
 * bilinear kernel of `positionWeights` (src/model/naflex-tower.ts). Padding gets the place of patch 0.
 *
 * @param seen (B, L) float32, 1 for a patch and 0 for padding
 * @param shapes (B, 2) float32, patches of a picture as (h, w)
 * @param table (G G, D) float32
 * @returns (B, L, D) float32
 */
export function positions(g: GraphBuilder, seen: string, shapes: string, table: string, grid: number): string {
  const one = (value: number) => g.number(value, 'f32');
  const [heights, widths] = [0, 1].map((at) => g.op('Slice', [shapes, g.whole([at]), g.whole([at + 1]), g.whole([1])]));
  const length = g.op('Gather', [g.op('Shape', [seen]), g.whole(1)], { axis: 0 });
  const count = g.toFloat32(g.op('Range', [g.whole(0), length, g.whole(1)]));
  const index = g.op('Mul', [count, seen]);
  // The half keeps a quotient that should be whole from being rounded below it.
  const row = g.op('Floor', [g.op('Div', [g.op('Add', [index, one(0.5)]), widths!])]);
  const column = g.op('Sub', [index, g.op('Mul', [row, widths!])]);
  const byRow = g.op('Unsqueeze', [along(g, row, heights!, grid), g.whole([3])]);
  const byColumn = g.op('Unsqueeze', [along(g, column, widths!, grid), g.whole([2])]);
  const shares = g.op('Reshape', [g.op('Mul', [byRow, byColumn]), g.whole([0, 0, grid * grid])]);
  return g.op('MatMul', [shares, table]);
}

/** Shares of the stored places of one side in the place `at` of `size`: (B, L) and (B, 1) -> (B, L, G). */
function along(g: GraphBuilder, at: string, size: string, grid: number): string {
  const one = (value: number) => g.number(value, 'f32');
  const scale = g.op('Div', [one(grid), size]);
  const centre = g.op('Unsqueeze', [g.op('Mul', [g.op('Add', [at, one(0.5)]), scale]), g.whole([2])]);
  const radius = g.op('Unsqueeze', [g.op('Max', [scale, one(1)]), g.whole([2])]);
  const stored = g.op('Add', [g.toFloat32(g.whole(Array.from({ length: grid }, (_, i) => i))), one(0.5)]);
  const distance = g.op('Abs', [g.op('Sub', [stored, centre])]);
  const weight = g.op('Relu', [g.op('Sub', [one(1), g.op('Div', [distance, radius])])]);
  return g.op('Div', [weight, g.op('ReduceSum', [weight, g.whole([2])])]);
}

/** What hides padding from every query, to be added to the scores: (B, L) -> (B, 1, 1, L). */
export function keyMask(g: GraphBuilder, seen: string): string {
  // Of float16 the largest is 65,504, and the exponential of this is zero in either type.
  const hidden = g.op('Mul', [g.op('Sub', [seen, g.number(1, 'f32')]), g.number(3e4, 'f32')]);
  return g.fromFloat32(g.op('Unsqueeze', [hidden, g.whole([1, 2])]));
}
