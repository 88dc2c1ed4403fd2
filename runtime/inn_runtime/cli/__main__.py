"""``python -m inn_runtime.cli``: the `inn` command where it is not on the path."""

from .main import main

raise SystemExit(main())
