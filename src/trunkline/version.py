"""Which version this is.

Said here and not asked of the installed package: what reads that would load zipfile and csv, for good.
"""

VERSION = "0.1.0"
