"""Score scans without mriad and torch: python example.py scan.nii.gz [map.npy], or sample.npz."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent
about = json.loads((HERE / "model.json").read_text())
session = onnxruntime.InferenceSession(HERE / about["graph"]["file"])
wants_brain = "brain" in about["graph"]["inputs"]
scan = Path(sys.argv[1])

if scan.suffix == ".npz":  # prepared already: all that is needed is numpy and onnxruntime
    prepared = np.load(scan)
    inputs = {name: prepared[name][:1] for name in about["graph"]["inputs"]}
else:  # what mriad does with a file: turn, cut to the head, scale, resample; needs about["preparation"]["needs"]
    sys.path.insert(0, str(HERE / "preparation.zip"))
    from preparation import brain_of, prepared_scan

    image, geometry = prepared_scan(scan, about["preparation"])
    inputs = {"image": image[None], **({"brain": brain_of(image)[None]} if wants_brain else {})}

anomaly_map, score = session.run(["map", "score"], inputs)
print(f"score {score[0]:.6f}: {'anomalous' if score[0] > about['threshold'] else 'healthy'}")
if scan.suffix != ".npz" and len(sys.argv) > 2:  # the map on the scan's own grid
    np.save(sys.argv[2], geometry.to_scan(anomaly_map[0], fill=min(0.0, float(anomaly_map.min()))))
