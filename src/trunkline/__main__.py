"""`python -m trunkline`: the same as the command `trunkline`."""

from __future__ import annotations

from trunkline.cli.start import main

if __name__ == "__main__":
    main()
