"""Serves a model's file by llama.cpp's own server, which the package xllamacpp brings along: serve.py FILE PORT PENALTY"""

import os
import pathlib
import sys
import threading

import xllamacpp

model, port, penalty = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.model_alias = {"smollm2-135m"}
params.n_ctx = 4096
params.n_parallel = 1
# Half of the cores, as the other server has it: on a busy machine more threads wait for each other.
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max((os.cpu_count() or 1) // 2, 1)
params.chat_template = pathlib.Path(__file__).with_name("tools.jinja").read_text()
params.sampling.penalty_repeat = float(penalty)
params.use_jinja = True
params.hostnames = ["127.0.0.1"]
params.port = int(port)
server = xllamacpp.Server(params)
threading.Event().wait()
