import protobuf from 'protobufjs';

/** The part of onnx.proto that these models need; field numbers are theirs. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message ModelProto { int64 ir_version = 1; string producer_name = 2; string producer_version = 3;
    repeated OperatorSetIdProto opset_import = 8; }
  message OperatorSetIdProto { string domain = 1; int64 version = 2; }
  message GraphProto { repeated NodeProto node = 1; string name = 2; repeated ValueInfoProto input = 11;
    repeated ValueInfoProto output = 12; }
  message NodeProto { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated AttributeProto attribute = 5; }
  message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated int64 ints = 8; int32 type = 20; }
  message ValueInfoProto { string name = 1; TypeProto type = 2; }
  message TypeProto { TensorType tensor_type = 1; }
  message TensorType { int32 elem_type = 1; TensorShapeProto shape = 2; }
  message TensorShapeProto { repeated Dimension dim = 1; }
  message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
  message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
    repeated StringStringEntryProto external_data = 13; int32 data_location = 14; }
  message StringStringEntryProto { string key = 1; string value = 2; }
`);

/** Fields in which one message is written inside another, piece by piece. */
export const fields = { graph: 7, initializer: 5, rawData: 9 } as const;

export type ElementType = 'f32' | 'f16' | 'i64';

const elementTypes = { f32: 1, f16: 10, i64: 7 } as const satisfies Record<ElementType, number>;
export const elementBytes = { f32: 4, f16: 2, i64: 8 } as const satisfies Record<ElementType, number>;

/** A size, or the name of one that may be any: all of the same name are the same. */
export type Dimension = number | string;

/** What a graph takes or gives. */
export interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
}

/** Numbers that are whole are ints; `float` says that one is not meant so. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface Node {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const encode = (message: string, value: object): Uint8Array => {
  const type = root.lookupType(message);
  return type.encode(type.fromObject(value)).finish();
};

/** The first operators of each version of the format: a reader refuses a model whose format is younger than it. */
const irVersions: Readonly<Record<number, number>> = { 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11 };
export const opsets = Object.keys(irVersions).map(Number);

/** A model without its graph. */
export const modelHead = (opset: number, producer: string): Uint8Array =>
  encode('ModelProto', {
    irVersion: irVersions[opset],
    producerName: 'siglip2-runner',
    producerVersion: producer,
    opsetImport: [{ domain: '', version: opset }],
  });

/** A graph without its weights. */
export const graphHead = (name: string, nodes: readonly Node[], inputs: readonly Port[], outputs: readonly Port[]) =>
  encode('GraphProto', {
    name,
    node: nodes.map(({ name, op, inputs, output, attributes }) => ({
      name,
      opType: op,
      input: inputs,
      output: [output],
      attribute: Object.entries(attributes).map(([name, value]) => ({ name, ...attributeFields(value) })),
    })),
    input: inputs.map(portMessage),
    output: outputs.map(portMessage),
  });

function attributeFields(value: Attribute): object {
  if (typeof value === 'number') return { i: value, type: 2 };
  if (typeof value === 'string') return { s: Buffer.from(value), type: 3 };
  if ('float' in value) return { f: value.float, type: 1 };
  return { ints: value, type: 7 };
}

const portMessage = ({ name, type, shape }: Port) => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[type],
      shape: { dim: shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })) },
    },
  },
});

/** Where a tensor lies that is not in the model's own file. */
export interface Place {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** A tensor without its numbers, or with the place of them. */
export const tensorHead = (name: string, type: ElementType, shape: readonly number[], place?: Place): Uint8Array =>
  encode('TensorProto', {
    dims: shape,
    dataType: elementTypes[type],
    name,
    ...(place && {
      dataLocation: 1,
      externalData: Object.entries(place).map(([key, value]) => ({ key, value: String(value) })),
    }),
  });

/** What stands before a field of so many bytes. */
export const lengthPrefix = (field: number, bytes: number): Uint8Array =>
  protobuf.Writer.create()
    .uint32((field << 3) | 2)
    .uint32(bytes)
    .finish();
