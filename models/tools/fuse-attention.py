#!/usr/bin/env python3
"""Puts one attention operator in place of the ten that an exported BERT has in each layer, and tanh's GELU in place of erf's.

  fuse-attention.py IN.onnx OUT.onnx

MultiHeadAttention of ONNX Runtime's contrib set works block by block in the cache where no text is padded; under a padding mask it does
not. So the model chooses in each run: where the mask is all ones, attention without it, else with it. Inputs and outputs stay as they are.
Run after freeze-scales.py. Needs: onnx.
"""
import sys

import onnx
from onnx import AttributeProto, TensorProto, helper

CONTRIB = "com.microsoft"


def users_of(graph):
    users = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def only(nodes, op):
    found = [n for n in nodes if n.op_type == op]
    assert len(found) == 1, f"expected one {op}, found {[n.op_type for n in nodes]}"
    return found[0]


def attention_layers(graph):
    """(heads, width, [query, key, value], the reshape that puts the heads together again) of each layer."""
    producer = {o: n for n in graph.node for o in n.output}
    users = users_of(graph)
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}

    def projection(name):
        """The product with weights behind transposes, reshapes and scaling, its columns, and those of one head."""
        size = None
        while producer[name].op_type != "MatMulIntegerToFloat":
            node = producer[name]
            assert node.op_type in ("Transpose", "Reshape", "Mul", "Div"), f"{node.op_type} {node.name} before attention"
            if node.op_type == "Reshape":
                size = int(constants[producer[node.input[1]].input[-1]].item())
            name = node.input[0]
        return name, constants[producer[name].input[1]].shape[1], size

    for softmax in [n for n in graph.node if n.op_type == "Softmax"]:
        scores = producer[softmax.input[0]]
        while scores.op_type != "MatMul":
            scores = producer[next(i for i in scores.input if i in producer and "Where" not in i)]
        context = only(users[softmax.output[0]], "MatMul")
        transposed = only(users[context.output[0]], "Transpose")
        merged = only(users[transposed.output[0]], "Reshape")
        sources = [projection(name) for name in (*scores.input[:2], context.input[1])]
        _, width, size = sources[0]
        yield width // size, width, [name for name, *_ in sources], merged


def fuse(graph):
    added = [
        helper.make_node("ReduceMin", ["attention_mask"], ["mask_least"], keepdims=0),
        helper.make_node("Cast", ["mask_least"], ["nothing_padded"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["attention_mask"], ["mask_int32"], to=TensorProto.INT32),
    ]
    for layer, (heads, width, inputs, merged) in enumerate(list(attention_layers(graph))):

        def branch(name, more):
            out = f"context.{layer}.{name}"
            node = helper.make_node(
                "MultiHeadAttention", inputs + more, [out], name=f"attention.{layer}.{name}", domain=CONTRIB, num_heads=heads
            )
            info = helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", "tokens", width])
            return helper.make_graph([node], f"attention.{layer}.{name}", [], [info])

        whole, padded = branch("whole", []), branch("padded", ["", "mask_int32"])
        out = merged.output[0]
        merged.output[0] = f"{out}.unfused"
        added.append(
            helper.make_node(
                "If", ["nothing_padded"], [out], name=f"attention.{layer}", then_branch=whole, else_branch=padded
            )
        )
    producer = {o: n for n in graph.node for o in n.output}
    users = users_of(graph)
    for erf in [n for n in graph.node if n.op_type == "Erf"]:
        x = producer[erf.input[0]].input[0]
        product = only(users[only(users[erf.output[0]], "Add").output[0]], "Mul")
        half = only(users[product.output[0]], "Mul")
        out = half.output[0]
        half.output[0] = f"{out}.unfused"
        added.append(helper.make_node("FastGelu", [x], [out], domain=CONTRIB))
    graph.node.extend(added)


def inputs_of(node):
    inner = [a.g for a in node.attribute if a.type == AttributeProto.GRAPH]
    return [name for name in [*node.input, *(i for g in inner for n in g.node for i in n.input)] if name]


def drop_unused_and_sort(graph):
    producer = {o: n for n in graph.node for o in n.output}
    wanted, seen = [o.name for o in graph.output], set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += inputs_of(producer[name]) if name in producer else []
    left = [n for n in graph.node if any(o in seen for o in n.output)]
    known = {i.name for i in graph.initializer} | {i.name for i in graph.input}
    ordered = []
    while left:
        ready = [n for n in left if all(name in known for name in inputs_of(n))]
        assert ready, "the graph has a circle"
        ordered += ready
        known |= {o for n in ready for o in n.output}
        left = [n for n in left if not any(o in known for o in n.output)]
    constants = [i for i in graph.initializer if i.name in seen]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(ordered)
    graph.initializer.extend(constants)


def main():
    source, target = sys.argv[1:]
    model = onnx.load(source)
    before = len(model.graph.node)
    fuse(model.graph)
    drop_unused_and_sort(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    print(f"{target}: {len(model.graph.node)} operators, {before} before")


if __name__ == "__main__":
    main()
