"""Every engine that is compared, and the process of one, as `EngineProcess` starts it.

    python -m benchmarks.harness.engines ENGINE MODEL INPUT.npy THREADS OUTPUT.npy

Loads the engine and the model, answers once, writes the answer and prints the seconds since the process
started and the resident memory in bytes. Then, for every line N read, it runs N times and prints the median
in ms.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[], np.ndarray]


def innlite(model: str, x: np.ndarray, threads: int) -> Run:
    """MODEL is BUNDLE.inn@SIZE: the model is resampled, too."""
    import inn_runtime as inn

    path, _, size = model.rpartition("@")
    session = inn.open(path).resample(size).session(threads=threads)
    return lambda: np.asarray(session.run(x))


def onnxruntime(model: str, x: np.ndarray, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})[0]


def litert(model: str, x: np.ndarray, threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run() -> np.ndarray:
        interpreter.set_tensor(source, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run


def ncnn(model: str, x: np.ndarray, threads: int) -> Run:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    # Strictly float32, like the others.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(f"{model}.param")
    net.load_model(f"{model}.bin")
    source, target = net.input_names()[0], net.output_names()[0]

    def run() -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input(source, ncnn.Mat(x[0]))
            return np.array(extractor.extract(target)[1])

    return run


def mnn(model: str, x: np.ndarray, threads: int) -> Run:
    import MNN

    interpreter = MNN.Interpreter(model)
    session = interpreter.createSession({"numThread": threads, "backend": "CPU", "precision": "high"})
    source = interpreter.getSessionInput(session)
    interpreter.resizeTensor(source, x.shape)
    interpreter.resizeSession(session)
    kind = MNN.Tensor_DimensionType_Caffe

    def run() -> np.ndarray:
        source.copyFrom(MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, kind))
        interpreter.runSession(session)
        output = interpreter.getSessionOutput(session)
        host = MNN.Tensor(
            output.getShape(), MNN.Halide_Type_Float, np.zeros(output.getShape(), np.float32), kind
        )
        output.copyToHostTensor(host)
        return np.array(host.getNumpyData(), np.float32)

    return run


ENGINES: dict[str, Callable[[str, np.ndarray, int], Run]] = {
    "MindSpore Lite": innlite,
    "ONNX Runtime": onnxruntime,
    "LiteRT": litert,
    "ncnn": ncnn,
    "MNN": mnn,
}


def process_age() -> float:
    """Seconds since this process was started."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    engine, model, source, threads, target = sys.argv[1:]
    results = os.dup(1)  # some engines print to standard output
    os.dup2(2, 1)
    x = np.load(source)
    run = ENGINES[engine](model, x, int(threads))
    first = run()
    age = process_age()
    np.save(target, first)
    os.write(results, f"{age} {resident()}\n".encode())
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        os.write(results, f"{1e3 * float(np.median(times))}\n".encode())


if __name__ == "__main__":
    main()
