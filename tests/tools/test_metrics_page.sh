#!/bin/bash
# test_metrics_page.sh - the reference parser of Prometheus' Python client reads our /metrics page,
# and sees families with help, the right types, and histograms that add up.
python=${EDGEWISE_PYTHON:-python3}
"$python" -c 'import prometheus_client' 2>/dev/null || {
    echo "prometheus_client isn't installed (pip install prometheus-client==0.21.1)"
    exit 77
}
"build/${MODE:-release}/tests/unit/test_metrics" --page | "$python" -c '
import sys
from prometheus_client.parser import text_string_to_metric_families
families = {f.name: f for f in text_string_to_metric_families(sys.stdin.read())}
assert len(families) > 20, len(families)
for name, family in families.items():
    assert family.documentation.endswith("."), name
    assert name.startswith(("edgewise_", "gen_ai_", "process_")), name
    assert family.type in ("counter", "gauge", "histogram"), (name, family.type)
    if family.type == "counter":
        assert all(s.name.endswith("_total") for s in family.samples), name
    if family.type != "histogram":
        continue
    series = {}
    for s in family.samples:
        key = tuple(sorted((k, v) for k, v in s.labels.items() if k != "le"))
        series.setdefault(key, []).append(s)
    assert series, name
    for samples in series.values():
        buckets = [s.value for s in samples if s.name.endswith("_bucket")]
        count = [s.value for s in samples if s.name.endswith("_count")]
        assert buckets == sorted(buckets) and [buckets[-1]] == count, name
usage = families["gen_ai_client_token_usage"]
assert any("\"x\\y\"" in s.labels["gen_ai_request_model"] for s in usage.samples)
print("read", len(families), "families")'
