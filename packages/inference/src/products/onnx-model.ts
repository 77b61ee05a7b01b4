/**
 * Writes the bytes of small ONNX models (protocol buffers, onnx.proto3 of ONNX 1.16), so that graphs of a few nodes
 * need neither Python nor a protobuf library. Only the fields that such graphs use are known here.
 */

type OnnxType = 'float' | 'int32' | 'int64'
/** A dimension is a number, or a name for one that is known only when the graph runs. */
export type OnnxValue = { name: string; type: OnnxType; shape: (number | string)[] }
type OnnxNode = {
  op: string
  inputs: string[]
  outputs: string[]
  attributes?: Record<string, number>
}
export type OnnxGraph = { name: string; opset: number; nodes: OnnxNode[]; inputs: OnnxValue[]; outputs: OnnxValue[] }

const elementType: Record<OnnxType, number> = { float: 1, int32: 6, int64: 7 }
const attributeTypeInt = 2
const irVersion = 9

/** Field numbers are those of onnx.proto3: ModelProto, GraphProto, NodeProto, AttributeProto, ValueInfoProto. */
export function encodeOnnxModel(graph: OnnxGraph): Uint8Array {
  const opset = [...text(1, ''), ...integer(2, graph.opset)]
  const body = [
    ...graph.nodes.flatMap((node) => message(1, encodeNode(node))),
    ...text(2, graph.name),
    ...graph.inputs.flatMap((value) => message(11, encodeValue(value))),
    ...graph.outputs.flatMap((value) => message(12, encodeValue(value))),
  ]
  return Uint8Array.from([...integer(1, irVersion), ...message(7, body), ...message(8, opset)])
}

function encodeNode(node: OnnxNode): number[] {
  return [
    ...node.inputs.flatMap((name) => text(1, name)),
    ...node.outputs.flatMap((name) => text(2, name)),
    ...text(4, node.op),
    ...Object.entries(node.attributes ?? {}).flatMap(([name, value]) =>
      message(5, [...text(1, name), ...integer(3, value), ...integer(20, attributeTypeInt)]),
    ),
  ]
}

function encodeValue(value: OnnxValue): number[] {
  const shape = value.shape.flatMap((size) => message(1, typeof size === 'number' ? integer(1, size) : text(2, size)))
  const tensor = [...integer(1, elementType[value.type]), ...message(2, shape)]
  return [...text(1, value.name), ...message(2, message(1, tensor))]
}

function integer(field: number, value: number): number[] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`an ONNX integer is ${value}, expected a whole number from 0`)
  }
  return [...varint(field << 3), ...varint(value)]
}

function text(field: number, value: string): number[] {
  return message(field, [...new TextEncoder().encode(value)])
}

function message(field: number, bytes: number[]): number[] {
  return [...varint((field << 3) | 2), ...varint(bytes.length), ...bytes]
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return bytes
}
