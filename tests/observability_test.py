#!/usr/bin/env python3
"""What deploy/observability/ asks of Prometheus is there: each metric, with its type and labels.

Without it: a metric gets another name, and an alert that asks for the old one never fires again.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "deploy/observability"
# `.gauge("longhaul_…", "help", {{"rule", …}})`; the labels may stand in a variable.
REGISTERED = re.compile(r'(counter|gauge|histogram)\(\s*"(longhaul_\w+)"')
COUNTERS = re.compile(r'"(longhaul_\w+_total)"')  # Some are registered by a helper.
DOCUMENTED = re.compile(r"`(longhaul_\w+)(?:\{([\w,]+)\})?`")


def known_metrics() -> dict[str, str]:
    """Names and types, as the sources register them."""
    known = {}
    for path in ROOT.glob("src/**/*.cc"):
        if path.name.endswith("_test.cc"):
            continue
        text = path.read_text()
        known |= {name: "counter" for name in COUNTERS.findall(text)}
        known |= {name: kind for kind, name in REGISTERED.findall(text)}
    return known


def known_labels() -> dict[str, set[str]]:
    """As the guide's table names them."""
    text = (ROOT / "docs/guide.md").read_text()
    return {name: set(filter(None, labels.split(","))) for name, labels in DOCUMENTED.findall(text)}


def errors_of(expression: str, metrics: dict[str, str], labels: dict[str, set[str]]) -> list[str]:
    errors = []
    allowed = {"le"}
    for name, selector in re.findall(r"(longhaul_\w+)(?:\{([^}]*)\})?", expression):
        base = name
        for suffix in ("_bucket", "_sum", "_count"):
            if name not in metrics and name.endswith(suffix):
                base = name.removesuffix(suffix)
        if base not in metrics:
            errors.append(f"there is no metric {name}")
            continue
        if (base != name) != (metrics[base] == "histogram"):
            errors.append(f"{name} is a {metrics[base]}")
        if base not in labels:
            errors.append(f"the guide does not tell of {base}")
        allowed |= labels.get(base, set())
        for label in re.findall(r"(\w+)\s*=", selector):
            if label not in labels.get(base, set()):
                errors.append(f"{base} has no label {label}")
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in re.split(r"\s*,\s*", group):
            if label not in allowed:
                errors.append(f"none of its metrics has a label {label}")
    if expression.count("(") != expression.count(")"):
        errors.append("its parentheses do not match")
    return errors


def expressions() -> dict[str, str]:
    """By where they stand."""
    found = {}
    alert = ""
    for line in (FOLDER / "alerts.yml").read_text().splitlines():
        if named := re.match(r"\s+- alert: (\w+)$", line):
            alert = named[1]
        elif expression := re.match(r"\s+expr: (.+)$", line):
            found[f"alerts.yml: {alert}"] = expression[1]
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            found[f"dashboard.json: {panel['title']} {target['refId']}"] = target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found[f"dashboard.json: {variable['name']}"] = variable["query"]
    return found


def main() -> int:
    metrics, labels = known_metrics(), known_labels()
    # A check that finds nothing, whatever one writes, is none.
    for wrong in ("rate(longhaul_no_such_total[1m])", 'longhaul_target_open{colour="red"}',
                  "sum by (colour) (longhaul_target_open)", "sum((longhaul_target_open)",
                  "longhaul_replication_lag_seconds", "longhaul_target_open_bucket"):
        if not errors_of(wrong, metrics, labels):
            print(f"self test: {wrong} is not noticed")
            return 1
    found = expressions()
    alerts = sum(place.startswith("alerts") for place in found)
    if alerts < 5 or len(found) - alerts < 10:
        print(f"self test: {alerts} alerts and {len(found) - alerts} queries of the dashboard")
        return 1
    errors = [f"{place}: {error}" for place, expression in found.items()
              for error in errors_of(expression, metrics, labels)]
    print("\n".join(errors) or "alerts and dashboard ask for metrics that are there")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
