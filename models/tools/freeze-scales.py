#!/usr/bin/env python3
"""Turns a dynamically quantised sentence-embedding model (int8, ONNX) into one with fixed activation scales.

Dynamic quantisation takes each activation's scale from everything that happens to be in the batch: the same text
gets another vector with other neighbours (cosine 0.985 to 0.992 between two compositions of a batch). With scales
fixed once, a text's vector is the same bit for bit in any batch, at any padding, on any number of threads.

  freeze-scales.py IN.onnx TOKENIZER.json OUT.onnx --texts FILE... [--quantile 0.9]

Each FILE is a text; windows of 256 tokens of each are run through IN one at a time, and the scale of each activation
is taken so that the given quantile of the windows fits without clipping. Needs: onnx, onnxruntime, tokenizers, numpy.
"""
import argparse
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from tokenizers import Tokenizer

WINDOW = 256


def windows(tokenizer, text, most=2):
    ids = tokenizer.encode(text[:6000]).ids
    first, last, body = ids[0], ids[-1], ids[1:-1]
    step = WINDOW - 2
    return [[first, *body[i : i + step], last] for i in range(0, min(len(body), step * most), step)]


def ranges(path, all_windows):
    """The (lowest, highest) value of every quantised activation, window by window."""
    model = onnx.load(path)
    quantisers = [n for n in model.graph.node if n.op_type == "DynamicQuantizeLinear"]
    for n in quantisers:
        model.graph.output.append(helper.make_tensor_value_info(n.output[1], onnx.TensorProto.FLOAT, []))
        model.graph.output.append(helper.make_tensor_value_info(n.output[2], onnx.TensorProto.UINT8, []))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = [name for n in quantisers for name in n.output[1:]]
    found = {n.output[0]: [] for n in quantisers}
    for w in all_windows:
        ids = np.array([w], np.int64)
        out = session.run(wanted, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for k, n in enumerate(quantisers):
            scale, zero = float(out[2 * k]), int(out[2 * k + 1])
            found[n.output[0]].append((-zero * scale, (255 - zero) * scale))
    return {name: np.array(v) for name, v in found.items()}


def freeze(path, found, quantile):
    model = onnx.load(path)
    graph = model.graph
    constants = {i.name: i for i in graph.initializer}
    producer = {o: n for n in graph.node for o in n.output}
    users = {}
    for n in graph.node:
        for i in n.input:
            users.setdefault(i, []).append(n)
    replaced, dropped, added = {}, set(), []
    for n in graph.node:
        if n.op_type == "DynamicQuantizeLinear":
            low = np.quantile(found[n.output[0]][:, 0], 1 - quantile)
            high = np.quantile(found[n.output[0]][:, 1], quantile)
            scale = np.float32((high - low) / 255)
            zero = np.uint8(np.clip(round(-low / scale), 0, 255))
            added += [numpy_helper.from_array(scale, n.output[1]), numpy_helper.from_array(zero, n.output[2])]
            replaced[id(n)] = helper.make_node("QuantizeLinear", [n.input[0], n.output[1], n.output[2]], [n.output[0]])
        if n.op_type == "MatMulInteger":
            # MatMulInteger, Cast, Mul by (activation scale x weight scale), Add bias: one MatMulIntegerToFloat.
            cast = users[n.output[0]][0]
            mul = users[cast.output[0]][0]
            add = users[mul.output[0]][0]
            scales = producer[next(i for i in mul.input if i != cast.output[0])]
            weight_scale = next(i for i in scales.input if i in constants)
            bias = next((i for i in add.input if i in constants), None) if add.op_type == "Add" else None
            quantiser = producer[n.input[0]]
            inputs = [n.input[0], n.input[1], quantiser.output[1], weight_scale, quantiser.output[2], n.input[3]]
            end = add if bias else mul
            fused = helper.make_node(
                "MatMulIntegerToFloat", inputs + ([bias] if bias else []), list(end.output), domain="com.microsoft"
            )
            replaced[id(end)] = fused
            dropped |= {id(n), id(cast), id(scales), id(mul)} - {id(end)}
    nodes = [replaced.get(id(n), n) for n in graph.node if id(n) not in dropped]
    return model, nodes, added


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source")
    parser.add_argument("tokenizer")
    parser.add_argument("target")
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--quantile", type=float, default=0.9)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(args.tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    sample = [w for f in args.texts for w in windows(tokenizer, open(f, encoding="utf8", errors="replace").read())]
    model, nodes, added = freeze(args.source, ranges(args.source, sample), args.quantile)
    graph = model.graph
    # The token vectors become an output beside the pooled one: pooling outside the graph sums in a fixed order.
    hidden = [n for n in nodes if n.op_type == "LayerNormalization"][-1].output[0]
    for n in nodes:
        n.input[:] = ["last_hidden_state" if i == hidden else i for i in n.input]
        n.output[:] = ["last_hidden_state" if o == hidden else o for o in n.output]
    width = int(graph.output[0].type.tensor_type.shape.dim[-1].dim_value)
    graph.output.append(
        helper.make_tensor_value_info("last_hidden_state", onnx.TensorProto.FLOAT, ["batch", "tokens", width])
    )
    used = {i for n in nodes for i in n.input}
    kept = [i for i in [*graph.initializer, *added] if i.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, args.target)
    print(f"{args.target}: {len(sample)} windows, {sum(n.op_type == 'QuantizeLinear' for n in nodes)} fixed scales")


if __name__ == "__main__":
    main()
