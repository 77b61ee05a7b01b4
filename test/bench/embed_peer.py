#!/usr/bin/env python3
"""The peers of `npm run bench -- embed --whole-text`: the same texts and model by Python's ONNX Runtime, and by sentence-transformers.

  embed_peer.py --pages F.ndjson --model FOLDER [--batch 16] [--limit N] [--sentence-transformers NAME_OR_FOLDER]

Prints one JSON line each; each has embedded the first texts before the clock starts. ONNX Runtime: tokenizers (Rust), batches sorted by
length, all cores, as its documentation advises. sentence-transformers: PyTorch float32 on the CPU, its own batches of 32; without --sentence-transformers it is left out. `dequantised` takes the weights out
of the int8 ONNX file as float32, which needs no download, and prints the cosine of its vectors to those of the ONNX file.
Needs: onnxruntime, tokenizers, numpy; for the second torch, transformers, sentence-transformers, onnx.
"""
import argparse
import json
import os
import tempfile
import time

import numpy as np


def read_texts(path, limit):
    texts = []
    with open(path, encoding="utf8") as lines:
        for line in lines:
            if line.strip():
                page = json.loads(line)
                text, title = page["text"], page["title"]
                texts.append(text if text.startswith(title) else f"{title}\n{text}")
    return texts[:limit]


def onnx_runtime(texts, folder, batch, most):
    import onnxruntime as ort
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.enable_truncation(most)
    tokenizer.no_padding()
    options = ort.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.inter_op_num_threads = 1
    file = next(f for f in ("model_int8.onnx", "onnx/model.onnx", "model.onnx") if os.path.exists(os.path.join(folder, f)))
    session = ort.InferenceSession(os.path.join(folder, file), options, providers=["CPUExecutionProvider"])
    vectors = np.zeros((len(texts), session.get_outputs()[-1].shape[-1]), np.float32)

    def embed(part):
        width = max(map(len, part))
        ids = np.zeros((len(part), width), np.int64)
        mask = np.zeros((len(part), width), np.int64)
        for r, row in enumerate(part):
            ids[r, : len(row)] = row
            mask[r, : len(row)] = 1
        return session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})[0]

    embed([e.ids for e in tokenizer.encode_batch([t[: most * 16] for t in texts[:batch]])])
    started, cpu = time.perf_counter(), time.process_time()
    rows = [e.ids for e in tokenizer.encode_batch([t[: most * 16] for t in texts])]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for k in range(0, len(order), batch):
        vectors[order[k : k + batch]] = embed([rows[i] for i in order[k : k + batch]])
    tokens = sum(map(len, rows))
    return time.perf_counter() - started, time.process_time() - cpu, tokens, vectors


def dequantised(folder):
    """The weights of the int8 ONNX file as those of a float32 BertModel: w = (q - zero point) * scale, per column."""
    import onnx
    import torch
    from onnx import numpy_helper

    graph = onnx.load(os.path.join(folder, "model_int8.onnx")).graph
    held = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    whole = lambda q, scale, zero: (held[q].astype(np.float32) - held[zero].astype(np.float32)) * held[scale]
    state = {}
    for name, value in held.items():
        if name.startswith("m.") and value.dtype == np.float32 and not name.endswith("_scale"):
            state[name[2:]] = value
        if name.startswith("m.embeddings.") and name.endswith("_quantized"):
            base = name[: -len("_quantized")]
            state[base[2:]] = whole(name, f"{base}_scale", f"{base}_zero_point")
    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            bias = node.input[6]
            state[bias[2 : -len("bias")] + "weight"] = whole(node.input[1], node.input[3], node.input[5]).T
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}


def sentence_transformers(texts, name, folder, most):
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import AutoConfig, BertModel, PreTrainedTokenizerFast

    if name == "dequantised":
        with tempfile.TemporaryDirectory() as build:
            bert = BertModel(AutoConfig.from_pretrained(folder), add_pooling_layer=False)
            missing = bert.load_state_dict(dequantised(folder), strict=False)
            if [key for key in missing.missing_keys if "position_ids" not in key] or missing.unexpected_keys:
                raise SystemExit(f"weights that do not fit: {missing}")
            bert.save_pretrained(build)
            PreTrainedTokenizerFast.from_pretrained(folder).save_pretrained(build)
            word = models.Transformer(build, max_seq_length=most)
            model = SentenceTransformer(modules=[word, models.Pooling(word.get_embedding_dimension())], device="cpu")
    else:
        model = SentenceTransformer(name, device="cpu")
        model.max_seq_length = most
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model.encode([t[: most * 16] for t in texts[:32]], batch_size=32, show_progress_bar=False)
    started, cpu = time.perf_counter(), time.process_time()
    vectors = model.encode([t[: most * 16] for t in texts], batch_size=32, show_progress_bar=False)
    return time.perf_counter() - started, time.process_time() - cpu, vectors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--tokens", type=int, default=256, help="longest text")
    parser.add_argument("--sentence-transformers", default=os.environ.get("EMBED_PEER_SENTENCE_TRANSFORMERS"))
    args = parser.parse_args()
    texts = read_texts(args.pages, args.limit)
    seconds, cpu, tokens, reference = onnx_runtime(texts, args.model, args.batch, args.tokens)
    show("python onnxruntime", texts, seconds, cpu, tokens)
    if args.sentence_transformers:
        seconds, cpu, vectors = sentence_transformers(texts, args.sentence_transformers, args.model, args.tokens)
        cosines = (vectors * reference).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(reference, axis=1)
        show("sentence-transformers", texts, seconds, cpu, tokens, cosineMean=round(float(cosines.mean()), 4))


def show(peer, texts, seconds, cpu, tokens, **more):
    line = {"peer": peer, "pages": len(texts), "seconds": round(seconds, 4)}
    line |= {"pagesPerSecond": round(len(texts) / seconds, 2), "tokensPerSecond": round(tokens / seconds)}
    line |= {"tokensPerCpuSecond": round(tokens / cpu), "tokens": tokens}
    print(json.dumps(line | more))


if __name__ == "__main__":
    main()
