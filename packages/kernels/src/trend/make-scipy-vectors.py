"""Writes scipy-vectors.json: series with scipy's figures, which trend.test.ts checks. Needs numpy and scipy."""
import json
import pathlib

import numpy as np
import scipy
from scipy import stats

rng = np.random.default_rng(7)
series = {
    "two": [1.0, 2.0],
    "three falling": [3.0, 2.0, 1.0],
    "rising": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
    "level noise": list(rng.normal(50, 5, 20)),
    "slow drift": list(rng.normal(0, 1, 33) + np.arange(33) * 0.1),
    "34 without ties": list(rng.normal(0, 1, 34) + np.arange(34) * 0.02),
    "ties": [float(v) for v in rng.integers(0, 5, 20)],
    "many ties": [float(v) for v in rng.integers(0, 3, 60)],
    "drift and outliers": list(np.arange(50) * 0.3 + np.where(np.arange(50) % 9 == 0, 40, 0) + rng.normal(0, 1, 50)),
    "long": list(rng.normal(200, 30, 300) - np.arange(300) * 0.02),
    "all but one equal": [5.0] * 9 + [6.0],
}
vectors = []
for name, values in series.items():
    y = np.array(values)
    x = np.arange(len(y))
    kendall = stats.kendalltau(x, y)
    vectors.append({
        "name": name,
        "values": [float(v) for v in y],
        "mean": float(np.mean(y)),
        "median": float(np.median(y)),
        "mad": float(stats.median_abs_deviation(y)),
        "slope": float(stats.theilslopes(y, x).slope),
        "tau": float(kendall.statistic),
        "p_value": float(kendall.pvalue),
    })
target = pathlib.Path(__file__).with_name("scipy-vectors.json")
target.write_text(json.dumps({"scipy": scipy.__version__, "vectors": vectors}, indent=1) + "\n")
