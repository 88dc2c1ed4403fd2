"""The tables of docs/performance.md, from the results, as Markdown.

    python -m benchmarks.reports.performance

Reads ``benchmarks/results/performance.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.harness.engines import ENGINES
from benchmarks.harness.results import RESULTS_FOLDER
from benchmarks.networks.bundles import BUNDLES

SIZES = (0.5, 1.0)


def main() -> None:
    rows = json.loads((RESULTS_FOLDER / "performance.json").read_text())["rows"]

    def value(model: str, method: str, size: float, metric: str) -> Any:
        key = (model, method, size, metric)
        found = [r["value"] for r in rows if (r["model"], r["method"], r["size"], r["metric"]) == key]
        return found[0] if found else None

    print(
        "| network, size | resample | first time | copy | build | resample / build | first / build | cached |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in BUNDLES:
        for size in SIZES:
            get = getter(value, name, "resampled", size)
            times = [get(m) for m in ("resample_ms", "first_resample_ms", "copy_ms", "build_ms")]
            ratios = [get(m) for m in ("resample_over_engine_build", "first_resample_over_engine_build")]
            cells = [*(f"{t:.1f} ms" for t in times), *(f"{r:.2f}" for r in ratios)]
            print(line(f"{name}, {size:g}", *cells, f"{get('cached_ms'):.1f} ms"))
    print("\n| network, size | `.ms` | float16 `.ms` | added to the engine | peak while resampling / `.ms` |")
    print("|---|---|---|---|---|")
    for name in BUNDLES:
        for size in SIZES:
            get = getter(value, name, "resampled", size)
            model = get("model_bytes") / 1e6
            sizes = (model, model * get("float16_over_model"), model * get("model_memory_over_model"))
            cells = [f"{size:.1f} MB" for size in sizes]
            print(line(f"{name}, {size:g}", *cells, f"{get('peak_memory_over_model'):.2f}"))
    print("\n| network | bundle | / fp32 ONNX | after `inn strip` | import | open |")
    print("|---|---|---|---|---|---|")
    for name in BUNDLES:
        get = getter(value, name, "bundle", 1.0)
        cells = [f"{get('bundle_bytes') / 1e6:.2f} MB", f"{get('bundle_over_fp32_onnx'):.2f}"]
        cells += [f"{get('stripped_over_bundle'):.3f}", f"{get('import_s'):.2f} s", f"{get('open_s'):.3f} s"]
        print(line(name, *cells))
    for title, metric, form in (
        ("latency over ours", "latency_over_mindspore_lite", "{:.2f}"),
        ("start to first answer", "first_answer_s", "{:.2f} s"),
        ("resident", "resident_bytes", "{:.0f} MB"),
    ):
        print(f"\n| {title} | " + " | ".join(ENGINES) + " |")
        print("|---" * (len(ENGINES) + 1) + "|")
        for name in BUNDLES:
            for size in SIZES:
                cells = []
                for engine in ENGINES:
                    found = value(name, engine, size, metric)
                    unit = 1e6 if metric == "resident_bytes" else 1
                    cells.append("-" if found is None else form.format(found / unit))
                if metric == "latency_over_mindspore_lite":
                    cells[0] = f"{value(name, 'MindSpore Lite', size, 'p50_ms'):.2f} ms"
                print(line(f"{name}, {size:g}", *cells))
    print()
    for model, method in (("fashion-resnet20", "live"), ("resnet18", "budgets")):
        print({r["metric"]: r["value"] for r in rows if (r["model"], r["method"]) == (model, method)})


def getter(value: Callable[..., Any], name: str, method: str, size: float) -> Callable[[str], Any]:
    return lambda metric: value(name, method, size, metric)


def line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
