"""The receiver of docs/recipes.md in a real OpenTelemetry Collector."""

import json
import re
from pathlib import Path

import httpx
import yaml

from lab.cluster import build, otel, process
from lab.server import LOOPBACK
from lab.stack import PROJECT

SPAN = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "GET"}


def payload(size: int) -> bytes:
    """An OTLP/JSON request of exactly so many bytes."""
    empty = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**SPAN, "name": ""}]}]}]})
    return empty.replace('"name": ""', f'"name": "{"x" * (size - len(empty))}"').encode()


def test_the_receiver_of_the_recipe_takes_spans_up_to_its_limit_and_refuses_more(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "recipes.md").read_text("utf-8")
    [block] = re.findall(r"^```yaml\n(receivers:.*?)^```", text, re.MULTILINE | re.DOTALL)
    config = yaml.safe_load(block)
    http = config["receivers"]["otlp"]["protocols"]["http"]
    limit = http["max_request_body_size"]
    assert http["endpoint"] == f"0.0.0.0:{otel.PORT}"
    port = process.free_port()
    http["endpoint"] = f"0.0.0.0:{port}"
    # What the recipe leaves to the reader.
    config["exporters"] = {"file": {"path": str(tmp_path / "spans.jsonl")}}
    config["service"]["pipelines"]["traces"]["exporters"] = ["file"]
    config["service"]["telemetry"] = {"metrics": {"level": "none"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    build.ensure((build.COLLECTOR,))
    with (
        process.running(
            [build.COLLECTOR.path, "--config", f"file:{tmp_path / 'config.yaml'}"],
            log=tmp_path / "collector.log",
            ready=lambda: process.accepts(LOOPBACK, port),
        ),
        httpx.Client(
            base_url=f"http://{LOOPBACK}:{port}",
            headers={"content-type": "application/json"},
            trust_env=False,
        ) as client,
    ):
        statuses = [
            client.post("/v1/traces", content=payload(size)).status_code for size in (1000, limit, limit + 1)
        ]
    assert statuses == [200, 200, 400]
