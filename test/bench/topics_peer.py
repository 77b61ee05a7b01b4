"""BERTopic on given vectors: topics_peer.py CORPUS VECTORS DIMS OUT TOPICS. Writes the ten words of each topic as JSON.

TOPICS is 'auto' for BERTopic's own number of topics, or a number it reduces them to. English stop words are left out, as its
documentation advises; everything else is its default, seeded. Needs bertopic with hdbscan and umap-learn.
"""
import json
import sys

import numpy as np
from bertopic import BERTopic
from sklearn.feature_extraction.text import CountVectorizer
from umap import UMAP

corpus, vectors, dims, out, topics = sys.argv[1:]
documents = [line.rstrip("\r\n").split("\t")[0] for line in open(corpus, encoding="utf-8")]
embeddings = np.fromfile(vectors, dtype="<f4").reshape(-1, int(dims))
model = BERTopic(
    umap_model=UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=42),
    vectorizer_model=CountVectorizer(stop_words="english"),
    nr_topics=None if topics == "auto" else int(topics) + 1,
    top_n_words=10,
)
model.fit(documents, embeddings)
found = [[word for word, _ in words if word] for topic, words in sorted(model.get_topics().items()) if topic != -1]
json.dump(found, open(out, "w", encoding="utf-8"))
