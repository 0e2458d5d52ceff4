import { createHash } from 'node:crypto';
import { canonicalJson } from '../../runtime/hash.ts';
import type { AttrValue, GraphFunction, GraphNode } from '../graph.ts';
import { outputArgument } from '../output-arguments.ts';
import { producerOf, specOf } from './elementwise-parts.ts';

/** A part of a graph as a function, with the graph outputs that it reads and those that it stands for. */
export interface Outlined {
  readonly body: GraphFunction;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** A constant up to this size moves into the function; shapes and axes must, since XLA wants them at compile time. */
const smallConstant = 1024;

/**
 * Makes a function of nodes, in an order of execution, that is named by its content, so that equal parts are one
 * function. `isRead` tells which of their outputs others need; writes of variables are its effects.
 */
export function outline(
  prefix: string,
  part: readonly GraphNode[],
  producers: ReadonlyMap<string, GraphNode>,
  isRead: (output: string) => boolean,
): Outlined {
  const place = new Map(part.map(({ name }, i) => [name, `n${i}`]));
  const inside = new Map<string, string>(
    part.flatMap(({ name, op, outputs }, i) =>
      outputs.map((_, k) => [`${name}:${k}`, `n${i}:${outputArgument(op)}:${k}`] as const),
    ),
  );
  const inputs: string[] = [];
  const body: Omit<GraphNode, 'outputs'>[] = [];
  const reference = (input: string): string => {
    const known = inside.get(input);
    if (known !== undefined) return known;
    const { op, attrs } = producers.get(producerOf(input))!;
    const value = attrs.value;
    let name: string;
    if (op === 'Const' && value !== undefined && 'tensor' in value && value.tensor.content.length <= smallConstant) {
      name = `c${body.length}:output:0`;
      body.push({ name: `c${body.length}`, op, inputs: [], attrs });
    } else {
      name = `x${inputs.length}`;
      inputs.push(input);
    }
    inside.set(input, name);
    return name;
  };
  for (const [i, { op, inputs: from, attrs }] of part.entries()) {
    const data = from.filter((input) => !input.startsWith('^')).map(reference);
    // What a call waits for from outside it waits for as a whole.
    const waits = from.flatMap((input) => (input.startsWith('^') ? (place.get(producerOf(input)) ?? []) : []));
    body.push({ name: `n${i}`, op, inputs: [...data, ...waits.map((name) => `^${name}`)], attrs });
  }
  const outputs = part.flatMap(({ name, outputs }) => outputs.map((_, k) => `${name}:${k}`)).filter(isRead);
  const content = {
    inputs: inputs.map((input, i) => ({ name: `x${i}`, dtype: specOf(input, producers).dtype })),
    outputs: outputs.map((output, i) => ({
      name: `y${i}`,
      dtype: specOf(output, producers).dtype,
      value: inside.get(output)!,
    })),
    body,
  };
  const effects = part.flatMap(({ op }, i) => (op === 'AssignVariableOp' ? [`n${i}`] : []));
  const name = `${prefix}_${createHash('sha256').update(canonicalJson(content)).digest('hex').slice(0, 16)}`;
  return { body: { name, ...content, effects }, inputs, outputs };
}

/** Attributes of a call of a function that XLA must compile; where it can't, the call fails. */
export function callAttrs({ name, inputs, outputs }: GraphFunction): Readonly<Record<string, AttrValue>> {
  return {
    Tin: { list: { type: inputs.map(({ dtype }) => dtype) } },
    Tout: { list: { type: outputs.map(({ dtype }) => dtype) } },
    f: { func: { name } },
    config: { s: new Uint8Array() },
    config_proto: { s: new Uint8Array() },
    executor_type: { s: new Uint8Array() },
    _XlaMustCompile: { b: true },
  };
}
