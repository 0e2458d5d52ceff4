"""Runs one signature of a SavedModel that profile-process.ts wrote, and prints when each op of it ran.

Argument: the folder, with saved_model.pb, feeds.safetensors (by placeholder) and job.json (what is run before, how
often, and what is fetched). TensorFlow's C API that tfjs-node calls takes no options of a run; the Python package of the
same version does, and runs the same library on the same graph. Prints one JSON line: wall times in ms of steps without
the tracer, then for each traced step [node, op, begin, end] in microseconds.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from safetensors.numpy import load_file

tf1 = tf.compat.v1
tf1.disable_eager_execution()


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "job.json")) as file:
        job = json.load(file)
    arrays = load_file(os.path.join(folder, "feeds.safetensors"))
    with tf1.Session(graph=tf1.Graph()) as session:
        tf1.saved_model.loader.load(session, ["serve"], folder)
        written = {f"{name}:0": arrays[name] for name in job["written"]}
        session.run([f"{name}:0" for name in job["writes"]], written)
        feeds = {f"{name}:0": arrays[name] for name in job["feeds"]}
        step = session.make_callable([f"{name}:0" for name in job["fetches"]], list(feeds))
        values = list(feeds.values())
        for _ in range(3):
            step(*values)
        times = []
        for _ in range(job["runs"]):
            began = time.perf_counter()
            step(*values)
            times.append(1000 * (time.perf_counter() - began))
        options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
        traces = []
        for _ in range(1 + job["runs"]):
            metadata = tf1.RunMetadata()
            session.run([f"{name}:0" for name in job["fetches"]], feeds, options=options, run_metadata=metadata)
            traces.append([
                [stats.node_name, stats.timeline_label.partition(" = ")[2].partition("(")[0],
                 stats.all_start_micros + stats.op_start_rel_micros, stats.all_start_micros + stats.op_end_rel_micros]
                for device in metadata.step_stats.dev_stats if "CPU" in device.device for stats in device.node_stats
            ])
    # The first traced step sets the tracer up.
    print(json.dumps({"ms": times, "traces": traces[1:], "version": tf.__version__}))


main()
