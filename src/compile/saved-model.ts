import protobuf from 'protobufjs';
import type { AttrValue, Graph, GraphFunction, GraphNode } from './graph.ts';

/**
 * The part of TensorFlow's protocol that a SavedModel without variable files needs: saved_model.proto,
 * meta_graph.proto, graph.proto, node_def.proto, attr_value.proto, tensor.proto (field numbers are theirs).
 */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message SavedModel { int64 saved_model_schema_version = 1; repeated MetaGraphDef meta_graphs = 2; }
  message MetaGraphDef { MetaInfoDef meta_info_def = 1; GraphDef graph_def = 2; }
  message MetaInfoDef { repeated string tags = 4; }
  message GraphDef { repeated NodeDef node = 1; FunctionDefLibrary library = 2; VersionDef versions = 4; }
  message VersionDef { int32 producer = 1; }
  message NodeDef { string name = 1; string op = 2; repeated string input = 3; string device = 4;
    map<string, AttrValue> attr = 5; }
  message AttrValue {
    oneof value {
      ListValue list = 1; bytes s = 2; int64 i = 3; float f = 4; bool b = 5; int32 type = 6;
      TensorShape shape = 7; TensorProto tensor = 8; NameAttrList func = 10;
    }
  }
  message ListValue { repeated int64 i = 3; repeated float f = 4; repeated bool b = 5; repeated int32 type = 6; }
  message NameAttrList { string name = 1; }
  message FunctionDefLibrary { repeated FunctionDef function = 1; }
  message FunctionDef { OpDef signature = 1; repeated NodeDef node_def = 3; map<string, string> ret = 4;
    map<string, string> control_ret = 6; }
  message OpDef { string name = 1; repeated ArgDef input_arg = 2; repeated ArgDef output_arg = 3; bool is_stateful = 17;
    repeated string control_output = 20; }
  message ArgDef { string name = 1; int32 type = 3; }
  message TensorShape { repeated Dim dim = 2; }
  message Dim { int64 size = 1; }
  message TensorProto { int32 dtype = 1; TensorShape tensor_shape = 2; bytes tensor_content = 4; }
`);
const savedModel = root.lookupType('SavedModel');

/** Graph producer version of TensorFlow 2.x: old enough for every op that we write, new enough to skip upgrades. */
const producer = 1700;
export const servingTag = 'serve';

const shapeMessage = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size })) });

function attrMessage(value: AttrValue): object {
  if ('shape' in value) return { shape: shapeMessage(value.shape) };
  if ('tensor' in value) {
    const { dtype, shape, content } = value.tensor;
    return { tensor: { dtype, tensorShape: shapeMessage(shape), tensorContent: content } };
  }
  return value;
}

function nodeMessage({ name, op, inputs, device, attrs }: Omit<GraphNode, 'outputs'>): object {
  // Map entries are written in insertion order: sorted, so that equal graphs have equal bytes.
  const sorted = Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1));
  const on = device === undefined ? {} : { device };
  return {
    name,
    op,
    input: inputs,
    ...on,
    attr: Object.fromEntries(sorted.map(([key, value]) => [key, attrMessage(value)])),
  };
}

const functionMessage = ({ name, inputs, outputs, body, effects = [] }: GraphFunction): object => ({
  signature: {
    name,
    inputArg: inputs.map((input) => ({ name: input.name, type: input.dtype })),
    outputArg: outputs.map((output) => ({ name: output.name, type: output.dtype })),
    ...(effects.length > 0 && { isStateful: true, controlOutput: effects }),
  },
  nodeDef: body.map(nodeMessage),
  ret: Object.fromEntries(outputs.map((output) => [output.name, output.value])),
  controlRet: Object.fromEntries(effects.map((node) => [node, node])),
});

/** The bytes of `saved_model.pb`: a pure function of the graph. */
export function encodeSavedModel(graph: Graph): Uint8Array {
  const node = graph.nodes.map(nodeMessage);
  const library = { function: [...graph.functions.values()].map(functionMessage) };
  return savedModel
    .encode(
      savedModel.fromObject({
        savedModelSchemaVersion: 1,
        metaGraphs: [{ metaInfoDef: { tags: [servingTag] }, graphDef: { node, library, versions: { producer } } }],
      }),
    )
    .finish();
}
