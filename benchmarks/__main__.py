"""``python -m benchmarks [NAME …] [--json]``: measurements side by side with named peers, one line a comparison."""

from __future__ import annotations

import argparse
import importlib
import sys

NAMES = (
    "scoring",
    "generation",
    "occlusion",
    "shapley",
    "integrated_gradients",
    "patching",
    "attribution_patching",
    "known_circuit",
    "probes",
    "sae",
    "interpretation",
    "pages",
    "coverage",
    "coverage_clustered",
    "inside_nulls",
    "planted_uses",
    "simulations",
    "replicates",
    "version_nulls",
    "endpoint",
    "endpoint_kills",
    "import",
    "decisions",
    "before",
)
#: A module cannot be called like a statement of the language.
MODULES = {"import": "imports"}


def main() -> int:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(NAMES)} (all by default)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"unknown benchmark {name!r}; expected one of: {', '.join(NAMES)}")
    for name in arguments.names or NAMES:
        module = importlib.import_module(f"benchmarks.{MODULES.get(name, name)}")
        for row in module.run():
            print(row.line(as_json=arguments.json), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
