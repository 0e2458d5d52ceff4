import protobuf from 'protobufjs';
import type { AttrValue, Graph } from './graph.ts';

/**
 * The part of TensorFlow's protocol that a SavedModel without variable files needs: saved_model.proto,
 * meta_graph.proto, graph.proto, node_def.proto, attr_value.proto, tensor.proto (field numbers are theirs).
 */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message SavedModel { int64 saved_model_schema_version = 1; repeated MetaGraphDef meta_graphs = 2; }
  message MetaGraphDef { MetaInfoDef meta_info_def = 1; GraphDef graph_def = 2; }
  message MetaInfoDef { repeated string tags = 4; }
  message GraphDef { repeated NodeDef node = 1; VersionDef versions = 4; }
  message VersionDef { int32 producer = 1; }
  message NodeDef { string name = 1; string op = 2; repeated string input = 3; map<string, AttrValue> attr = 5; }
  message AttrValue {
    oneof value {
      ListValue list = 1; bytes s = 2; int64 i = 3; float f = 4; bool b = 5; int32 type = 6;
      TensorShape shape = 7; TensorProto tensor = 8;
    }
  }
  message ListValue { repeated int64 i = 3; repeated float f = 4; repeated bool b = 5; }
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

/** The bytes of `saved_model.pb`: a pure function of the graph. */
export function encodeSavedModel(graph: Graph): Uint8Array {
  const node = graph.nodes.map(({ name, op, inputs, attrs }) => ({
    name,
    op,
    input: inputs,
    // Map entries are written in insertion order: sorted, so that equal graphs have equal bytes.
    attr: Object.fromEntries(
      Object.entries(attrs)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => [key, attrMessage(value)]),
    ),
  }));
  return savedModel
    .encode(
      savedModel.fromObject({
        savedModelSchemaVersion: 1,
        metaGraphs: [{ metaInfoDef: { tags: [servingTag] }, graphDef: { node, versions: { producer } } }],
      }),
    )
    .finish();
}
