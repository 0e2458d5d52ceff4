import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { QueryTokenizer } from './query-tokens.ts';

/** How the graphs of a detector are asked: in one piece, or in two. */
export interface Graphs {
  readonly sessions: readonly InferenceSession[];
  /** @param pixels (1, 3, height, width) */
  run(pixels: Tensor, queries: readonly string[], templates: readonly string[]): Promise<Asked>;
}

/** (boxes, queries) and (boxes, 4). */
export interface Asked {
  readonly logits: Float32Array;
  readonly boxes: Float32Array;
}

export type Runtime = typeof import('onnxruntime-node');

/** What is asked of a graph, by name. */
export interface Needs {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface Parts {
  readonly runtime: Runtime;
  readonly tokenize: QueryTokenizer;
  open(file: string, needs: Needs): Promise<InferenceSession>;
}
