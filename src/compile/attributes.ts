import { dataTypes, type GraphNode } from './graph.ts';

/** Whether an attribute such as `transpose_a` is set. */
export function isSet({ attrs }: Pick<GraphNode, 'attrs'>, name: string): boolean {
  const value = attrs[name];
  return value !== undefined && 'b' in value && value.b;
}

/** Whether an op works on float32, by its `T`. */
export const isFloat32 = ({ attrs: { T } }: Pick<GraphNode, 'attrs'>): boolean =>
  T !== undefined && 'type' in T && T.type === dataTypes.float32;
