"""What `inn info` shows of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..network import Bundle
from .table import format_table

_SHOWN = 5
"""Labels, and kernels that are stored otherwise than most."""
_COSTS = {"flops": "FLOPs", "params": "parameters", "latency": "latency"}


def describe(bundle: Bundle) -> dict[str, Any]:
    """A bundle's contents and its measured curve, as JSON-ready values."""
    manifest = bundle.manifest
    names = {size: name for name, size in manifest.presets.items()}
    axes = {(group.axis.kernel, group.axis.quadrature) for group in manifest.groups}
    rules = sorted({rule for _, rule in axes})
    if any(size.tables or size.overrides or size.corrections for size in manifest.sizes):
        rules = ["calibrated"]
    elif manifest.is_calibrated:
        rules = [f"{rule} (tuned nodes)" for rule in rules]
    sizes = []
    for size in manifest.sizes:
        model = bundle.resample(size.size)
        sizes.append(
            {
                "name": names.get(size.size, ""),
                "size": size.size,
                "widths": list(size.widths),
                "parameters": model.parameters,
                "macs": model.macs,
                "measured": size.measured,
            }
        )
    return {
        "name": manifest.name,
        "file": bundle.source,
        "bytes": Path(bundle.source).stat().st_size,
        "sha256": bundle.file_digest,
        "producer": manifest.producer,
        "inputs": {port.name: list(port.shape) for port in manifest.inputs},
        "outputs": {port.name: list(port.shape) for port in manifest.outputs},
        "labels": list(manifest.labels),
        "groups": [
            {"name": g.name, "size": g.axis.size, "members": list(g.members)} for g in manifest.groups
        ],
        "kernel": ", ".join(sorted({kernel for kernel, _ in axes})),
        "quadrature": ", ".join(rules),
        "align": manifest.align,
        "storage": _storage(bundle),
        "schedule": manifest.schedule,
        "n": manifest.curve.get("n"),
        "safe_from": manifest.curve.get("safe_from"),
        "source_difference": manifest.source_difference,
        "sizes": sizes,
    }


def _storage(bundle: Bundle) -> dict[str, list[str]]:
    """How kernels are stored, most of them first, and which; vectors, as biases are, are always float32."""
    stored: dict[str, list[str]] = {}
    for weight in bundle.manifest.weights:
        if len(weight.dims) > 1:
            stored.setdefault(bundle.storage(f"weight/{weight.name}"), []).append(weight.name)
    return dict(sorted(stored.items(), key=lambda item: -len(item[1])))


def format_summary(summary: dict[str, Any]) -> str:
    """The text of `inn info`."""
    producer = dict(summary["producer"])
    options = producer.pop("options", None)
    made = [value if key == "date" else f"{key} {value}" for key, value in producer.items()]
    facts = [
        ("file", f"{summary['file']}, {summary['bytes'] / 1e6:.2f} MB"),
        ("sha256", summary["sha256"]),
        ("made by", ", ".join(made)),
        *([] if options is None else [("options", options)]),
    ]
    for kind in ("inputs", "outputs"):
        for name, shape in summary[kind].items():
            facts.append((kind[:-1], f"{name}  {' x '.join(map(str, shape))}"))
    labels = summary["labels"]
    if labels:
        facts.append(("labels", f"{len(labels)}: {_some(labels)}"))
    facts.append(
        (
            "resized",
            f"{len(summary['groups'])} channel groups, {summary['quadrature'] or 'no'} quadrature, "
            f"widths in multiples of {summary['align']}",
        )
    )
    if summary["storage"]:
        facts.append(("kernels", _format_storage(summary["storage"])))
    if summary["schedule"] != "uniform":
        cost = _COSTS[summary["schedule"]]
        facts.append(
            ("schedule", f"each size takes the {cost} of that uniform width; widths differ by group")
        )
    if summary["n"]:
        facts.append(("measured", f"on {summary['n']} images"))
    if summary["source_difference"]:
        facts.append(
            ("source", f"full size agrees to {summary['source_difference']:.1e} of the outputs' scale")
        )
    if summary["safe_from"]:
        facts.append(("safe", f"from size {summary['safe_from']:g} up"))
    lines = [f"{key:<10}{value}" for key, value in facts]
    return "\n".join([summary["name"], *lines, "", _curve(summary["sizes"])])


def _format_storage(stored: dict[str, list[str]]) -> str:
    (usual, kernels), *others = stored.items()
    parts = [f"{len(names)} in {kind} ({_some(names)})" for kind, names in others]
    return ", ".join([f"{len(kernels)} in {usual}", *parts])


def _some(names: list[str]) -> str:
    """The first few of the names."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _curve(sizes: list[dict[str, Any]]) -> str:
    shown = dict.fromkeys(metric for entry in sizes for metric in entry["measured"])
    metrics = [metric for metric in shown if metric not in ("parameters", "macs")]
    rows = [
        [
            entry["name"],
            f"{entry['size']:g}",
            f"{entry['parameters']:,}",
            f"{2 * entry['macs'] / 1e6:,.2f}",
            *(_measured(metric, entry["measured"].get(metric)) for metric in metrics),
        ]
        for entry in sizes
    ]
    return format_table(["size", "", "parameters", "MFLOPs", *metrics], rows)


def _measured(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    if metric == "psnr":
        return f"{value:.2f} dB"
    return f"{100 * value:.2f} %" if metric in ("accuracy", "agreement") else f"{value:g}"
