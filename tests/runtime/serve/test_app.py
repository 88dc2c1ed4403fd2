"""`inn serve` over HTTP: answers, hostile requests, a server that stays alive."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import struct
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import inn_runtime as inn
import numpy as np
import picture_bundle
import pytest
import tiny
from PIL import Image
from serving import serving

pytest.importorskip("starlette", reason="needs innlite[serve]")
pytest.importorskip("uvicorn", reason="needs innlite[serve]")

from inn_runtime.cli import main
from inn_runtime.serve.app import make_app
from inn_runtime.serve.pictures import MAX_PIXELS, MAX_UPLOAD_BYTES, find_samples
from inn_runtime.serve.workbench import KEPT, Workbench
from starlette.testclient import TestClient

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    path = picture_bundle.write(tmp_path_factory.mktemp("serve") / "tiny.inn")
    with Workbench(inn.open(path)) as opened:
        yield opened


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Path, ...]:
    folder = tmp_path / "samples"
    folder.mkdir()
    for seed in (1, 2):
        (folder / f"{seed}.png").write_bytes(picture_bundle.png(seed))
    (folder / "notes.txt").write_text("no picture")
    return find_samples(folder)


@pytest.fixture
def client(workbench: Workbench, samples: tuple[Path, ...]) -> Iterator[TestClient]:
    app = make_app(workbench, samples, hosts=("board.lan",))
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as opened:  # one event loop for all
        yield opened


def found_shares(entry: dict[str, Any]) -> dict[str, float]:
    return {found["label"]: found["share"] for found in entry["classes"]}


def assert_alive(client: TestClient) -> None:
    answer = client.post("/api/answer?size=small", content=picture_bundle.png(5)).json()
    assert found_shares(answer["chosen"]) == pytest.approx(picture_bundle.shares(5, 0.5), abs=1e-4)


def bomb(width: int, height: int) -> bytes:
    """The beginning of a PNG of enormous sides."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + content + chunk(b"IEND", b"")


# What the page asks for
@pytest.mark.parametrize("size", [0.5, 1.0])
def test_an_uploaded_picture_is_answered_as_numpy_would(client: TestClient, size: float) -> None:
    response = client.post(f"/api/answer?size={size}", content=picture_bundle.png(3))
    answer = response.json()
    assert response.status_code == 200
    assert (answer["chosen"]["size"], answer["full"]["size"]) == (size, 1.0)
    for entry in (answer["chosen"], answer["full"]):
        expected = picture_bundle.shares(3, entry["size"])
        assert found_shares(entry) == pytest.approx(expected, abs=1e-4)
        assert [c["label"] for c in entry["classes"]] == sorted(expected, key=lambda k: -expected[k])
        assert 0 < entry["p50"] <= entry["p95"]
    expected = [picture_bundle.shares(3, each) for each in (size, 1.0)]
    assert answer["agree"] == (max(expected[0], key=expected[0].get) == max(expected[1], key=expected[1].get))


def test_a_sample_is_answered_like_its_upload(client: TestClient) -> None:
    sample = client.post("/api/answer?size=small&sample=1").json()
    upload = client.post("/api/answer?size=small", content=picture_bundle.png(2)).json()
    assert sample["chosen"]["classes"] == upload["chosen"]["classes"]


def test_samples_come_as_pictures_without_names(client: TestClient) -> None:
    assert client.get("/api/model").json()["samples"] == 2
    response = client.get("/api/samples/0")
    assert response.headers["content-type"] == "image/png"
    image = np.asarray(Image.open(io.BytesIO(response.content)))
    np.testing.assert_array_equal(image, picture_bundle.pixels(1))


def test_a_photo_that_lies_on_its_side_is_turned_upright(client: TestClient) -> None:
    turned = Image.fromarray(np.rot90(picture_bundle.pixels(4)).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    stream = io.BytesIO()
    turned.save(stream, format="PNG", exif=exif)
    found = client.post("/api/answer?size=full", content=stream.getvalue()).json()
    assert found_shares(found["full"]) == pytest.approx(picture_bundle.shares(4, 1.0), abs=1e-4)


def test_the_model_is_described(client: TestClient) -> None:
    model = client.get("/api/model").json()
    assert model["input"] == {"channels": 3, "height": 5, "width": 4}
    assert [(s["name"], s["size"]) for s in model["sizes"]] == [("small", 0.5), ("full", 1.0)]
    assert model["sizes"][0]["measured"] == {"agreement": 0.9}
    bundle = tiny.manifest()
    assert model["name"] == bundle["name"]


def test_latency_is_measured_anew(client: TestClient) -> None:
    found = client.post("/api/latency?size=small").json()
    assert found["size"] == 0.5
    assert 0 < found["p50"] <= found["p95"]
    assert found["model_bytes"] > 0


def test_the_best_size_for_ample_time_is_the_full_one(client: TestClient) -> None:
    found = client.post("/api/best?ms=100000").json()
    assert found["size"] == 1.0
    assert [entry["size"] for entry in found["measured"]] == [0.5, 1.0]


def test_an_impossible_budget_names_the_fastest_size(client: TestClient) -> None:
    response = client.post("/api/best?ms=0.0000001")
    assert response.status_code == 400
    assert re.fullmatch(
        r"no size is done within 1e-07 ms on this device; the fastest, (0\.5|1), takes .* ms",
        response.json()["error"],
    )


def test_threads_that_ask_at_once_get_their_own_answers(client: TestClient) -> None:
    def ask(seed: int) -> tuple[int, dict[str, Any]]:
        size = "small" if seed % 2 else "full"
        return seed, client.post(f"/api/answer?size={size}", content=picture_bundle.png(seed)).json()

    with ThreadPoolExecutor(8) as pool:
        for seed, answer in pool.map(ask, range(40)):
            expected = picture_bundle.shares(seed, 0.5 if seed % 2 else 1.0)
            assert found_shares(answer["chosen"]) == pytest.approx(expected, abs=1e-4)


def test_the_engine_holds_few_models_however_the_slider_moves(tmp_path: Path) -> None:
    document, values = picture_bundle.parts()
    smaller = document["sizes"][0]
    sizes = [0.5, 0.6, 0.7, 0.8, 0.9]
    document["sizes"][:1] = [{**smaller, "size": size} for size in sizes]
    bundle = inn.open(tiny.write(tmp_path / "many.inn", document, values))
    with Workbench(bundle) as workbench:
        for size in sizes:
            assert workbench.latency(size)["size"] == size
            assert len(workbench._sessions) <= KEPT + 1
        assert 1.0 in workbench._sessions


def test_other_networks_are_compared_by_psnr(tmp_path: Path) -> None:
    document, values = picture_bundle.parts()  # cut behind the second convolution
    for key in ("weight/w2", "weight/b2", "override/w2@0.5"):
        del values[key]
    document["weights"], document["quadratures"] = document["weights"][:4], document["quadratures"][:1]
    document["tensors"] = [*document["tensors"][:5], {"name": "first"}, {"name": "second"}]
    document["nodes"] = document["nodes"][:2]
    document["nodes"][0]["outputs"] = [5]
    document["nodes"][1].update(inputs=[5, 3, 4], outputs=[6])
    document["outputs"] = [{"name": "second", "tensor": 6, "shape": [1, 5, 4, 6]}]
    document["sizes"][0].update(widths=[4, 6], overrides={})
    del values["override/b1@0.5"]
    bundle = inn.open(tiny.write(tmp_path / "array.inn", document, values))
    with Workbench(bundle) as workbench:
        image = Image.fromarray(picture_bundle.pixels(0))
        half, full = workbench.answer(image, "small"), workbench.answer(image, "full")
    assert half["kind"] == full["kind"] == "array"
    assert full["psnr"] == pytest.approx(200)
    assert 0 < half["psnr"] < 60


# Bad input
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the picture is empty"),
        (b"certainly no picture" * 10, "not a picture that can be read; expected PNG, JPEG, WEBP, GIF, BMP"),
        (picture_bundle.png(0)[:60], "the picture is damaged"),
        (bomb(50_000, 50_000), f"the picture has more than {MAX_PIXELS // 10**6} million pixels"),
        (bomb(10_000, 8_000), f"the picture has more than {MAX_PIXELS // 10**6} million pixels"),
        (bomb(7_000, 7_000), "the picture is damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"),
    ],
    ids=["empty", "junk", "truncated", "bomb", "large", "hollow", "postscript", "svg"],
)
def test_what_is_no_picture_is_refused(client: TestClient, content: bytes, message: str) -> None:
    response = client.post("/api/answer?size=small", content=content)
    assert response.status_code == 422
    assert message in response.json()["error"]
    assert_alive(client)


@pytest.mark.parametrize("announced", [True, False])
def test_uploads_are_bounded(client: TestClient, announced: bool) -> None:
    content = bytes(MAX_UPLOAD_BYTES + 1)
    body: Any = content if announced else (content[i : i + 65536] for i in range(0, len(content), 65536))
    response = client.post("/api/answer?size=small", content=body)
    assert response.status_code == 413
    assert response.json() == {"error": "the picture is larger than 16 MiB"}
    assert_alive(client)


def test_slow_uploads_end(tmp_path: Path) -> None:
    request = b"POST /api/answer?size=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nx"
    bundle = picture_bundle.write(tmp_path / "tiny.inn")
    with (
        serving(bundle, upload_seconds=0.2) as (address, _),
        socket.create_connection(address, timeout=20) as connection,
    ):
        connection.sendall(request)
        assert connection.recv(200).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/answer", 400, "the parameter size is missing"),
        ("/api/answer?size=huge&sample=0", 400, "size 'huge': expected a number in (0, 1]"),
        ("/api/answer?size=0.1&sample=0", 400, "the smallest size of this bundle is 0.5"),
        ("/api/answer?size=nan&sample=0", 400, "size 'nan': expected a number"),
        ("/api/answer?size=1&sample=2", 422, "there is no sample 2; expected 0 to 1"),
        ("/api/answer?size=1&sample=-1", 422, "there is no sample -1"),
        ("/api/answer?size=1&sample=../1.png", 400, "sample: expected a number, found '../1.png'"),
        ("/api/latency?size=2", 400, "expected a number in (0, 1]"),
        ("/api/best", 400, "the parameter ms is missing"),
        ("/api/best?ms=-1", 400, "expected a time in milliseconds above 0, found -1"),
        ("/api/best?ms=nan", 400, "above 0, found nan"),
        ("/api/best?ms=soon", 400, "ms: expected a number, found 'soon'"),
        ("/api/model", 405, "Method Not Allowed"),
        ("/etc/passwd", 404, "Not Found"),
    ],
)
def test_bad_requests_are_explained(client: TestClient, path: str, status: int, message: str) -> None:
    response = client.post(path)
    assert response.status_code == status
    assert message in response.json()["error"]


@pytest.mark.parametrize(
    "path", ["/api/samples/2", "/api/samples/-1", "/api/samples/..%2f1.png", "/../app.py"]
)
def test_no_path_leads_to_a_file(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 422)


def test_a_sample_that_is_gone_is_said(client: TestClient, samples: tuple[Path, ...]) -> None:
    samples[0].unlink()
    samples[1].write_bytes(b"no longer a picture")
    assert client.get("/api/samples/0").json() == {"error": "1.png: No such file or directory"}
    assert client.post("/api/answer?size=1&sample=1").status_code == 422
    assert_alive(client)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "localhost.evil.example", "[::1"])
def test_foreign_host_names_are_refused(client: TestClient, host: str) -> None:
    response = client.get("/api/model", headers={"host": host})
    assert response.status_code == 403
    assert "is not known here; start with --allow-host" in response.json()["error"]


@pytest.mark.parametrize("host", ["localhost:9", "192.168.7.9", "[::1]:8000", "board.lan", "Board.LAN:80"])
def test_addresses_and_allowed_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/api/model", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8001"])
def test_other_sites_are_refused(client: TestClient, origin: str) -> None:
    response = client.post("/api/best?ms=1", headers={"origin": origin})
    assert response.status_code == 403
    assert response.json() == {"error": f"requests from {origin} are refused"}
    assert client.get("/api/model", headers={"origin": ADDRESS}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/chart.js", "/style.css", "/icon.svg", "/api/model", "/no"]
)
def test_every_response_is_guarded(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/", headers={"host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


def test_an_engine_that_fails_is_said_and_started_anew(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session: inn.Session, inputs: object) -> None:
        raise inn.EngineError("the worker ended")

    with monkeypatch.context() as patch:
        patch.setattr(inn.Session, "run", fail)
        for path in ("/api/answer?size=small&sample=0", "/api/latency?size=full"):
            response = client.post(path)
            assert (response.status_code, response.json()) == (500, {"error": "the worker ended"})
    assert_alive(client)


def test_outputs_that_are_not_finite_are_said(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(inn.Session, "run", lambda session, inputs: np.full((1, 3), np.nan, np.float32))
        response = client.post("/api/answer?size=small&sample=0")
    assert response.json() == {"error": "size 1: the network's output is not finite"}
    assert_alive(client)


def test_what_nobody_foresaw_is_logged_and_survived(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Workbench, "describe", lambda workbench: 1 / 0)
        response = client.get("/api/model")
    assert response.status_code == 500
    assert response.json() == {"error": "the server failed; its log says more"}
    assert "ZeroDivisionError" in caplog.text
    assert_alive(client)


# The command
def test_the_command_serves_on_this_device_alone_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    with serving(picture_bundle.write(tmp_path / "tiny.inn")) as (address, process):
        assert address[0] == "127.0.0.1"
        url = f"http://127.0.0.1:{address[1]}"
        with urllib.request.urlopen(f"{url}/api/model") as response:
            assert json.load(response)["name"] == "tiny"
        question = urllib.request.Request(f"{url}/api/answer?size=small", picture_bundle.png(5))
        with urllib.request.urlopen(question) as response:
            answer = json.load(response)
        assert found_shares(answer["chosen"]) == pytest.approx(picture_bundle.shares(5, 0.5), abs=1e-4)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "ended\n", "")


def refused(capfd: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    capfd.readouterr()
    assert main(["serve", *map(str, arguments)]) == code
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    return errors


def test_mistakes_are_refused_before_anything_is_served(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = picture_bundle.write(tmp_path / "tiny.inn")
    other = tiny.write(tmp_path / "other.inn")
    (tmp_path / "empty").mkdir()
    for code, arguments, message in (
        (2, [tmp_path / "none.inn"], "No such file"),
        (2, [bundle, "--samples", tmp_path / "none"], "--samples: "),
        (2, [bundle, "--samples", tmp_path / "empty"], "no pictures here"),
        (2, [bundle, "--port", "70000"], "--port: expected 0 to 65535, found 70000"),
        (2, [bundle, "--host", "no.such.host.invalid"], "--host: 'no.such.host.invalid' is no address"),
        (1, [bundle, "--host", "192.0.2.1", "--port", "0"], "cannot listen on 192.0.2.1 port 0"),
        (2, [bundle, "--port", "0", "--preprocess", "{"], "--preprocess: expected JSON"),
        (2, [bundle, "--port", "0", "--preprocess", "[]"], "--preprocess: cannot read []: "),
        (2, [bundle, "--port", "0", "--preprocess", '{"mean": "x"}'], "preprocess: mean: expected 3"),
        (2, [bundle, "--port", "0", "--threads", "0"], "threads"),
        (2, [other, "--port", "0"], "does not say how pictures become its input 'image'; add --preprocess"),
        (2, [other, "--port", "0", "--preprocess", "{}"], "images need an input of 1 or 3 channels"),
    ):
        assert message in refused(capfd, code, *arguments)


def test_a_port_in_use_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = picture_bundle.write(tmp_path / "tiny.inn")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}" in refused(capfd, 1, bundle, "--port", port)


def test_what_is_missing_to_serve_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    errors = refused(capfd, 2, picture_bundle.write(tmp_path / "tiny.inn"))
    assert "needs a web server: pip install 'innlite[serve]'" in errors
