#!/usr/bin/env python3
"""Fits the int8 weights of a model so that no product of a pair can overflow, on any processor.

  bound-products.py IN.onnx OUT.onnx

x64 processors without VNNI multiply u8 activations with s8 weights by vpmaddubsw, which adds two neighbouring products in 16 bits and
clips what does not fit; those with VNNI add in 32 bits. So the same model gives other vectors there (cosine 0.994), and worse ones.
Two products fit when 255 x |w[2i] + w[2i+1]| does, that is for sums of weights up to 128. Each column gets the scale, between its own and
the one at which all its pairs fit, at which rounding and shrinking the pairs that still do not cost least. Run after freeze-scales.py.
Needs: onnx, numpy.
"""
import sys

import numpy as np
import onnx
from onnx import numpy_helper

MOST = 32767 // 255


def shrunk(weights):
    """Whole weights [rows x columns] whose pairs of rows sum to at most MOST, each of a pair that does not giving half of the excess."""
    pairs = weights.reshape(-1, 2, weights.shape[1])
    total = pairs.sum(1)
    excess = np.sign(total) * np.maximum(0, np.abs(total) - MOST)
    half = np.trunc(excess / 2)
    return np.stack([pairs[:, 0] - (excess - half), pairs[:, 1] - half], 1).reshape(weights.shape)


def fit(weights):
    """Weights whose pairs fit, and by what the scale of each column grows."""
    pairs = np.abs(weights.reshape(-1, 2, weights.shape[1]).sum(1)).max(0)
    largest = np.maximum(1, pairs / MOST)
    best, factors, least = weights.copy(), np.ones(weights.shape[1]), np.full(weights.shape[1], np.inf)
    for part in np.linspace(0, 1, 101):
        factor = 1 + part * (largest - 1)
        rounded = shrunk(np.round(weights / factor))
        error = ((rounded * factor - weights) ** 2).sum(0)
        better = error < least
        least[better], factors[better] = error[better], factor[better]
        best[:, better] = rounded[:, better]
    assert (np.abs(best.reshape(-1, 2, best.shape[1]).sum(1)) <= MOST).all()
    return best, factors


def main():
    source, target = sys.argv[1:]
    model = onnx.load(source)
    constants = {i.name: i for i in model.graph.initializer}
    products = [n for n in model.graph.node if n.op_type == "MatMulIntegerToFloat"]
    grown = []
    for node in products:
        _, weights, _, scale, _, zero_point, *_ = node.input
        assert not numpy_helper.to_array(constants[zero_point]).any(), f"{weights} is not symmetric"
        fitted, factors = fit(numpy_helper.to_array(constants[weights]).astype(np.float64))
        scales = numpy_helper.to_array(constants[scale]) * factors
        constants[weights].CopyFrom(numpy_helper.from_array(fitted.astype(np.int8), weights))
        constants[scale].CopyFrom(numpy_helper.from_array(scales.astype(np.float32), scale))
        grown.append(factors)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    print(f"{target}: {len(products)} products, scales grew by {np.concatenate(grown).mean():.3f} in the mean")


if __name__ == "__main__":
    main()
