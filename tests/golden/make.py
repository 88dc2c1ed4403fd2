"""Record exports anew: ``python -m tests.golden.make [NAME …]``.

To be run where a change of behaviour is meant; the difference belongs in the commit that makes it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tests.golden.cases import CASES
from tests.golden.records import FOLDER, differences, export, fingerprint, record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 where bytes differ")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    changed = []
    for name in options.names or CASES:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = json.loads(json.dumps(record(export(CASES[name], Path(folder)))))
        file = FOLDER / f"{name}.json"
        expected = json.loads(file.read_text()) if file.exists() else {}
        expected.pop("fingerprint", None)
        new = list(differences(found, expected))
        changed += [name] * bool(new)
        print(f"{name}: {'changed' if new else 'equal'} ({time.perf_counter() - start:.1f} s)")
        for line in new[:20]:
            print(f"  {line}")
        if not options.check:
            content = {"fingerprint": fingerprint(), **found}
            file.write_text(json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n")
    raise SystemExit(bool(changed and options.check))


if __name__ == "__main__":
    main()
